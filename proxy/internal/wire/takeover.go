package wire

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
//	new  accepts on them; a byte: I serve   old  a byte: agreed; stops accepting, finishes what it has
//
// Until the last byte either may die and the other goes on. Afterwards the connection stays. The new proxy sends each
// table to the old one, whose kept-alive connections must not reach replicas that left, and asks what is still open
// there.

// offer is what the old proxy hands over.
type offer struct {
	PID     int
	Table   rhumb.Table
	Sockets []offeredSocket
	Before  int // connections to still older proxies, which come after the sockets
}

// Inheritance is what the new proxy got. It ends with Accept or Refuse.
type Inheritance struct {
	offer
	conn    *net.UnixConn // to the old proxy
	Sockets []*socket.Socket
	before  []*net.UnixConn
}

// Refuse returns all of it: the old proxy goes on.
func (i *Inheritance) Refuse() {
	for _, s := range i.Sockets {
		s.Close()
	}
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

// errStopping is the answer of a proxy that accepts nothing any more.
var errStopping = errors.New("the old proxy is stopping")

// TakeOver asks the proxy on the socket for what it has. It returns nil without an error if no process listens there,
// or if that process is stopping: it has let go of its addresses.
func TakeOver(ctx context.Context, path string) (*Inheritance, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, nil
	}
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Unavailable, "takeover: the old proxy can't be reached: %w", err)
	}
	got := &Inheritance{conn: c.(*net.UnixConn)}
	got.conn.SetDeadline(time.Now().Add(takeoverTime))
	if err := got.receive(); err != nil {
		got.Refuse()
		if errors.Is(err, errStopping) {
			return nil, nil
		}
		return nil, rhumb.Errorf(rhumb.Unavailable, "takeover failed, the old proxy goes on: %w", err)
	}
	return got, nil
}

func (i *Inheritance) receive() error {
	if _, err := io.WriteString(i.conn, "POST /takeover HTTP/1.1\r\nHost: proxy\r\n\r\n"); err != nil {
		return err
	}
	// Nothing follows the answer until byteGo is sent, so the buffer reads nothing more.
	resp, err := http.ReadResponse(bufio.NewReader(i.conn), nil)
	if err != nil {
		return err
	}
	if resp.StatusCode == http.StatusConflict {
		return errStopping
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		b, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
		return errors.New("the old proxy refuses: " + string(b))
	}
	if _, err := i.conn.Write([]byte{byteGo}); err != nil {
		return err
	}
	if err := readFrame(i.conn, &i.offer); err != nil {
		return err
	}
	for _, s := range i.offer.Sockets {
		got, err := i.receiveSocket(socket.Binding{UDP: s.UDP, Addr: s.Addr})
		if err != nil {
			return err
		}
		i.Sockets = append(i.Sockets, got)
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
func (i *Inheritance) receiveSocket(b socket.Binding) (*socket.Socket, error) {
	f, err := receiveFile(i.conn)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return socket.Inherit(b, f)
}

// Accept reports to the old proxy that this one serves, and adds it to before. After an error the old one goes on.
func (i *Inheritance) Accept(before *Predecessors) error {
	_, err := i.conn.Write([]byte{byteServing})
	if err == nil {
		// From here on the old proxy may have stopped accepting. It answers, or breaks off at its own deadline.
		i.conn.SetDeadline(time.Now().Add(2 * takeoverTime))
		err = expect(i.conn, byteAgreed)
	}
	if err != nil {
		i.Refuse()
		return rhumb.Errorf(rhumb.Unavailable, "takeover failed, the old proxy goes on: %w", err)
	}
	before.add(append(i.before, i.conn)...)
	return nil
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

// sendFile sends the other process a duplicate of the file descriptor of c. It does so inside Control, because net's
// File would put the socket, and ours with it, into blocking mode.
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
		return errors.New("the message is too long")
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
