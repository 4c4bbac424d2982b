// Package unixsocket listens on unix sockets that only some users may use.
package unixsocket

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"time"

	"rhumb"
)

// Listen listens on a socket. permit sets its mode and owner before the socket gets its name, so that no other user can
// connect in between. It replaces the socket of a dead process. Conflict: a process answers at the path.
func Listen(path string, permit func(path string) error) (net.Listener, error) {
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

// Private permits only the process's own user to use the socket.
func Private(path string) error { return os.Chmod(path, 0o600) }
