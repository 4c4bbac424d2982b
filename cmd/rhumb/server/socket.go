package server

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"rhumb"
)

// socketGroup is the group that may use the server's socket, if it exists.
const socketGroup = "rhumb"

// listenUnix listens on a socket of mode 0660. The socket gets its mode before its name, so that no other user can
// connect in between. It replaces the socket of a dead server. Conflict: a server answers at the path.
func listenUnix(path string) (net.Listener, error) {
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return nil, rhumb.Errorf(rhumb.Conflict, "a server already answers at %s", path).
			WithHint("stop it, or choose another socket with --socket")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the socket's folder can't be made: %w", err)
	}
	private, err := os.MkdirTemp(filepath.Dir(path), ".s")
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the socket can't be made: %w", err)
	}
	defer os.RemoveAll(private)
	temporary := filepath.Join(private, "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the socket can't be made: %w", err)
	}
	ln.SetUnlinkOnClose(false)
	if err := errors.Join(permit(temporary), os.Rename(temporary, path)); err != nil {
		_ = ln.Close()
		return nil, rhumb.Errorf(rhumb.Denied, "the socket can't be made: %w", err)
	}
	return ln, nil
}

func permit(path string) error {
	if err := os.Chmod(path, 0o660); err != nil {
		return err
	}
	g, err := user.LookupGroup(socketGroup)
	if err != nil {
		return nil // without the group, the socket is root's alone
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return fmt.Errorf("group %s has the number %q", socketGroup, g.Gid)
	}
	return os.Chown(path, -1, gid)
}
