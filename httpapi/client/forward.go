package client

import (
	"context"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"rhumb"
)

// Forward passes connections to a free local port through ssh to an address as the server's machine sees it, until ctx
// ends. ready is called once with the local address. Invalid: host doesn't name a server that is reached through ssh.
// Unavailable: ssh has ended.
func Forward(ctx context.Context, host, addr string, ready func(local string)) error {
	u, err := url.Parse(host)
	if err != nil || u.Scheme != "ssh" {
		return badHost(host)
	}
	local, err := freeLocal(addr)
	if err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "no local port is free: %w", err)
	}
	args, err := sshTo(u, "-N", "-o", "ExitOnForwardFailure=yes", "-L", local+":"+addr)
	if err != nil {
		return err
	}
	var said tail
	cmd := exec.CommandContext(ctx, "ssh", args...)
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C ends ctx first
	if err := cmd.Start(); err != nil {
		return rhumb.Errorf(rhumb.Unavailable, "start ssh: %w", err)
	}
	ended := make(chan struct{})
	go func() { // ends with ctx, which kills ssh
		defer close(ended)
		_ = cmd.Wait() // its output says more than its exit code
	}()
	if listens(local, ended) {
		ready(local)
		<-ended
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return rhumb.Errorf(rhumb.Unavailable, "ssh: %s", strings.TrimPrefix(said.String(), "ssh: ")).
		WithHint("ssh itself fails; try it by hand")
}

// freeLocal returns a free address of this machine, if possible with the port of another address.
func freeLocal(like string) (string, error) {
	_, port, err := net.SplitHostPort(like)
	if err != nil {
		return "", err
	}
	ln, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		ln, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	defer ln.Close() // ssh binds it
	return ln.Addr().String(), nil
}

// listens waits until the local address accepts connections, and returns false if ssh has ended before.
func listens(local string, ended <-chan struct{}) bool {
	for {
		if c, err := net.DialTimeout("tcp", local, time.Second); err == nil {
			_ = c.Close() // nothing was sent
			return true
		}
		select {
		case <-ended:
			return false
		case <-time.After(50 * time.Millisecond):
		}
	}
}
