package machine

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/httpapi/client"
)

// DialStdioCommand is the command that ssh runs at the other end. It connects its standard streams to the server's
// socket.
func DialStdioCommand(a *cli.App) *cobra.Command {
	var socket string
	cmd := a.Command("dial-stdio", "Connect the standard streams to the server's socket", cobra.NoArgs,
		func(ctx context.Context, _ []string) error {
			if socket == "" {
				var err error
				if socket, err = ownSocket(); err != nil {
					return err
				}
			}
			sayFrom(ctx, socket)
			d := net.Dialer{Timeout: 10 * time.Second}
			conn, err := d.DialContext(ctx, "unix", socket)
			if err != nil {
				return rhumb.Errorf(rhumb.Unavailable, "no server answers at %s: %w", socket, err)
			}
			defer conn.Close()
			go func() { // a read of the standard input can't be interrupted: it may last until the process ends
				_, _ = io.Copy(conn, a.Stdin) // the other direction reports the error
				if c, ok := conn.(*net.UnixConn); ok {
					_ = c.CloseWrite()
				}
			}()
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			defer stop()
			if _, err := io.Copy(a.RawOut, conn); err != nil && !errors.Is(err, net.ErrClosed) {
				return rhumb.Errorf(rhumb.Unavailable, "the connection to %s broke: %w", socket, err)
			}
			return nil
		})
	cmd.Hidden = true
	cmd.Flags().StringVar(&socket, "socket", "", "use this `SOCKET` of the server (RHUMB_HOST)")
	return cmd
}

// sayTime is how long an answer to sayFrom is waited for.
const sayTime = time.Second

// sayFrom has the server's bans spare the address from which ssh has come. A client at the other end doesn't know it.
func sayFrom(ctx context.Context, socket string) {
	from := cli.UsedFrom()
	if !from.IsValid() {
		return
	}
	c, err := client.New("unix://" + socket)
	if err != nil {
		return
	}
	defer c.Close()
	c.From = from
	ctx, cancel := context.WithTimeout(ctx, sayTime)
	defer cancel()
	_, _ = c.WhyBanned(ctx, from) // any call says it; an older server doesn't know this one
}

// ownSocket returns the socket that commands on this machine use.
func ownSocket() (string, error) {
	host := os.Getenv("RHUMB_HOST")
	if host == "" {
		host = client.DefaultHost
	}
	path, ok := strings.CutPrefix(host, "unix://")
	if !ok {
		return "", rhumb.Errorf(rhumb.Invalid, "RHUMB_HOST on the remote machine is %s, not a socket", host).
			WithHint("add the socket to the URL: ssh://USER@HOST/PATH/TO/SOCKET")
	}
	return path, nil
}
