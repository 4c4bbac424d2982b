package doctor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// askNftables queries nftables, in the thread's namespace, for the generation of its rules: the smallest query there
// is.
func askNftables() error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return fmt.Errorf("query nftables: %w", err)
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return fmt.Errorf("query nftables: %w", err)
	}
	if err := unix.Sendto(fd, generationRequest(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("query nftables: %w", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, answer, 0)
	if err == nil {
		err = netlinkError(answer[:n])
	}
	if err != nil {
		return fmt.Errorf("query nftables: %w", err)
	}
	return nil
}

// generationRequest returns a netlink message with only netfilter's header.
func generationRequest() []byte {
	b := make([]byte, unix.NLMSG_HDRLEN+4)
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	return b
}

// netlinkError returns the error in an answer, or nil.
func netlinkError(b []byte) error {
	if len(b) < unix.NLMSG_HDRLEN {
		return errors.New("the answer is too short")
	}
	if binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return nil
	}
	if len(b) < unix.NLMSG_HDRLEN+4 {
		return errors.New("the answer is too short")
	}
	if n := int32(binary.NativeEndian.Uint32(b[unix.NLMSG_HDRLEN:])); n != 0 {
		return unix.Errno(-n)
	}
	return nil
}
