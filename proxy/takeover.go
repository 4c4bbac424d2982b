package proxy

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"rhumb"
	"rhumb/proxy/internal/socket"
)

// A takeover, on one connection to the old proxy's control socket ("old" and "new" are the two processes):
//
//	new  POST /takeover                     old  101; no table is taken from now on
//	new  a byte: go on                      old  the offer, then a byte with a file descriptor for each socket
//	new  accepts on them; a byte: I serve   old  a byte: so be it; stops accepting, finishes what it has
//
// Until the last byte either may die and the other just goes on. Afterwards the connection stays: the new proxy sends each table to the
// old one, whose kept-alive connections must not lead to replicas that left, and asks it what it still has open.

// offer is what the old proxy hands over.
type offer struct {
	PID     int
	Table   rhumb.Table
	Sockets []offeredSocket
	Before  int // connections to still older proxies, which come after the sockets
}

// inheritance is what the new proxy got.
type inheritance struct {
	offer
	conn    *net.UnixConn // to the old proxy
	sockets []*socket.Socket
	before  []*net.UnixConn
}

func (i *inheritance) refuse() {
	closeAll(i.sockets)
	for _, c := range i.before {
		c.Close()
	}
	i.conn.Close()
}

type offeredSocket struct {
	UDP  bool
	Addr netip.AddrPort
}

// Bytes of the handshake.
const (
	byteGo byte = iota + 1
	byteServing
	byteAgreed
	byteSocket
)

const (
	takeoverTime = 10 * time.Second // for each side's part of the handshake
	followTime   = 2 * time.Second  // for one question to an old proxy
)

// takeOver asks the proxy on the socket for what it has; nil without an error if nobody listens there.
func takeOver(ctx context.Context, socket string) (*inheritance, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil
	}
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Unavailable, "takeover: the old proxy can't be reached: %w", err)
	}
	got := &inheritance{conn: c.(*net.UnixConn)}
	got.conn.SetDeadline(time.Now().Add(takeoverTime))
	if err := got.receive(); err != nil {
		got.refuse()
		return nil, rhumb.Errorf(rhumb.Unavailable, "takeover: the old proxy goes on: %w", err)
	}
	return got, nil
}

func (i *inheritance) receive() error {
	if _, err := io.WriteString(i.conn, "POST /takeover HTTP/1.1\r\nHost: proxy\r\n\r\n"); err != nil {
		return err
	}
	// Nothing follows the answer until byteGo is sent, so the buffer swallows nothing.
	resp, err := http.ReadResponse(bufio.NewReader(i.conn), nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return errors.New("it refuses: " + string(b))
	}
	if _, err := i.conn.Write([]byte{byteGo}); err != nil {
		return err
	}
	if err := readFrame(i.conn, &i.offer); err != nil {
		return err
	}
	for _, s := range i.Sockets {
		got, err := i.receiveSocket(socket.Binding{UDP: s.UDP, Addr: s.Addr})
		if err != nil {
			return err
		}
		i.sockets = append(i.sockets, got)
	}
	for range i.Before {
		f, err := receiveFile(i.conn)
		if err != nil {
			return err
		}
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			return err
		}
		i.before = append(i.before, c.(*net.UnixConn))
	}
	return nil
}

// receiveSocket takes one file descriptor and makes a socket of it.
func (i *inheritance) receiveSocket(b socket.Binding) (*socket.Socket, error) {
	f, err := receiveFile(i.conn)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return socket.Inherit(b, f)
}

func receiveFile(conn *net.UnixConn) (*os.File, error) {
	buf, oob := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, m, _, _, err := conn.ReadMsgUnix(buf, oob)
	if err != nil {
		return nil, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:m])
	if err != nil || n != 1 || buf[0] != byteSocket || len(msgs) != 1 {
		return nil, errors.New("a socket is missing")
	}
	fds, err := unix.ParseUnixRights(&msgs[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("a socket is missing")
	}
	return os.NewFile(uintptr(fds[0]), "inherited"), nil
}

// sendFile gives the other process a duplicate of the file descriptor of c. It is sent from inside Control, because net's File would put
// the socket, our own with it, into blocking mode.
func sendFile(conn *net.UnixConn, c syscall.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		_, _, sent = conn.WriteMsgUnix([]byte{byteSocket}, unix.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, sent)
}

// writeFrame and readFrame move one JSON value with its length before it.
func writeFrame(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...))
	return err
}

func readFrame(r io.Reader, v any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxAnswer {
		return errors.New("a message is too long")
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

func expect(r io.Reader, want byte) error {
	var b [1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return err
	}
	if b[0] != want {
		return errors.New("an unexpected byte in the takeover")
	}
	return nil
}
