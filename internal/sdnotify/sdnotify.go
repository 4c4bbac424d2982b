// Package sdnotify sends the state of a service to systemd, as sd_notify(3) describes: a datagram of a few lines.
package sdnotify

import (
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

const sendTime = time.Second

// Ready reports that the service is ready, and that this process is its main process. The service ends when its main
// process does.
func Ready() error {
	return send(os.Getenv("NOTIFY_SOCKET"), fmt.Sprintf("MAINPID=%d\nREADY=1", os.Getpid()))
}

// Succeeded reports that another process is the main process from now on. systemd receives it before this process
// ends.
func Succeeded(pid int) error {
	return send(os.Getenv("NOTIFY_SOCKET"), fmt.Sprintf("MAINPID=%d", pid))
}

// send sends a state. Without a socket it does nothing: no supervisor expects the state.
func send(socket, state string) error {
	if socket == "" {
		return nil
	}
	if strings.HasPrefix(socket, "@") {
		socket = "\x00" + socket[1:] // an abstract name, without a file
	}
	c, err := net.DialTimeout("unixgram", socket, sendTime)
	if err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(sendTime)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	if _, err := c.Write([]byte(state)); err != nil {
		return fmt.Errorf("notify systemd: %w", err)
	}
	return nil
}
