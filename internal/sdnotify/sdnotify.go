// Package sdnotify tells systemd how a service is doing, as sd_notify(3) describes it: a datagram of a few lines.
package sdnotify

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

const sendTime = time.Second

// Ready tells that the service serves, and that this process is its main one: the one whose end is the service's end.
func Ready() error {
	return send(os.Getenv("NOTIFY_SOCKET"), fmt.Sprintf("MAINPID=%d\nREADY=1", os.Getpid()))
}

// Succeeded tells that another process is the main one from now on. What a process says reaches systemd before its
// end does.
func Succeeded(pid int) error {
	return send(os.Getenv("NOTIFY_SOCKET"), fmt.Sprintf("MAINPID=%d", pid))
}

// send does nothing where no socket is named: nobody wants to know.
func send(socket, state string) error {
	if socket == "" {
		return nil
	}
	if strings.HasPrefix(socket, "@") {
		socket = "\x00" + socket[1:] // a name without a file
	}
	c, err := net.DialTimeout("unixgram", socket, sendTime)
	if err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(sendTime)); err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	return nil
}
