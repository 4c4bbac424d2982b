package server

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"strconv"

	"rhumb/internal/unixsocket"
)

// socketGroup is the group that may use the server's socket, if it exists.
const socketGroup = "rhumb"

// listenUnix listens on a socket of mode 0660.
func listenUnix(path string) (net.Listener, error) { return unixsocket.Listen(path, permit) }

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
