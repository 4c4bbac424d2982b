package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"rhumb"
)

type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// dialer returns how to reach a host. A nil function leaves it to net/http.
func dialer(u *url.URL) (base string, dial dialFunc, err error) {
	switch u.Scheme {
	case "unix":
		if u.Path == "" || u.Host != "" {
			return "", nil, badHost(u.String())
		}
		return "http://rhumb", unixDialer(u.Path), nil
	case "ssh":
		args, err := sshArgs(u)
		if err != nil {
			return "", nil, err
		}
		dial := func(context.Context, string, string) (net.Conn, error) { return dialCommand("ssh", args...) }
		return "http://rhumb", dial, nil
	case "http", "https":
		if u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return "", nil, badHost(u.String())
		}
		return strings.TrimSuffix(u.String(), "/"), nil, nil
	}
	return "", nil, badHost(u.String())
}

func unixDialer(path string) dialFunc {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		d := net.Dialer{Timeout: 10 * time.Second}
		conn, err := d.DialContext(ctx, "unix", path)
		if errors.Is(err, fs.ErrPermission) {
			return nil, rhumb.Errorf(rhumb.Denied, "the socket %s may not be used by this user", path).
				WithHint(`join the group "rhumb" and log in again, or use sudo`)
		}
		if err != nil {
			return nil, &rhumb.Error{Code: rhumb.Unavailable, Msg: "no server answers at " + path,
				Hint: `is rhumb server running? start it with "rhumb server", ` +
					`or choose another one with --host or RHUMB_HOST`, Err: err}
		}
		return conn, nil
	}
}

// sshArgs returns ssh's arguments for a connection to the server's socket.
func sshArgs(u *url.URL) ([]string, error) {
	args, err := sshTo(u)
	if err != nil {
		return nil, err
	}
	args = append(args, "rhumb", "dial-stdio")
	if strings.Trim(u.Path, "/") != "" { // else the far side knows its socket
		args = append(args, "--socket", quoted(u.Path))
	}
	return args, nil
}

// sshTo returns ssh's arguments up to the machine. ssh itself reads the user's configuration, keys and known hosts.
func sshTo(u *url.URL, options ...string) ([]string, error) {
	_, password := u.User.Password()
	if u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-") ||
		password || u.RawQuery != "" || u.Fragment != "" {
		return nil, badHost(u.Redacted())
	}
	args := append([]string{"-T", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=15"}, options...)
	if u.Port() != "" {
		args = append(args, "-p", u.Port())
	}
	if u.User.Username() != "" {
		args = append(args, "-l", u.User.Username())
	}
	return append(args, "--", u.Hostname()), nil
}

// quoted quotes s as one word for the shell that runs ssh's command.
func quoted(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("/._-", r) && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// dialCommand starts a process whose standard streams are the connection.
func dialCommand(name string, args ...string) (net.Conn, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket pair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer ours.Close() // FileConn has its own
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, fmt.Errorf("use a socket pair: %w", err)
	}
	c := &commandConn{Conn: conn, name: name, cmd: exec.Command(name, args...), exited: make(chan struct{})}
	c.cmd.Stdin, c.cmd.Stdout, c.cmd.Stderr = theirs, theirs, &c.said
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C must not end the connection: rhumb still needs it
	if err := c.cmd.Start(); err != nil {
		conn.Close()
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		defer close(c.exited)
		_ = c.cmd.Wait() // its output says more than its exit code
	}()
	return c, nil
}

// commandConn is a connection through a process.
type commandConn struct {
	net.Conn
	name   string
	cmd    *exec.Cmd
	said   tail
	exited chan struct{}
	once   sync.Once
}

// Read reads, and explains an end of the connection with the process's last words.
func (c *commandConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil && n == 0 {
		err = c.explain(err)
	}
	return n, err
}

// Write writes, and explains a failure with the process's last words.
func (c *commandConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		err = c.explain(err)
	}
	return n, err
}

// explain returns an error with the process's last words instead of err, if the process has ended.
func (c *commandConn) explain(err error) error {
	select {
	case <-c.exited:
	case <-time.After(time.Second):
		return err
	}
	words := c.said.String()
	if words == "" {
		return err
	}
	hint := "the server's user needs rhumb in its PATH and access to its socket"
	if c.cmd.ProcessState.ExitCode() == sshFailed {
		hint = c.name + " itself fails; try it by hand"
	}
	msg := c.name + ": " + strings.TrimPrefix(words, c.name+": ")
	return &rhumb.Error{Code: rhumb.Unavailable, Msg: msg, Hint: hint, Err: err}
}

// sshFailed is the exit code of ssh when ssh itself failed, not the command at the other end.
const sshFailed = 255

// Close ends the connection and the process, and waits for it.
func (c *commandConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		late := time.AfterFunc(2*time.Second, func() { _ = c.cmd.Process.Kill() })
		<-c.exited
		late.Stop()
	})
	return err
}

// tail keeps the last words of a process.
type tail struct {
	mu sync.Mutex
	b  []byte
}

const tailLen = 1000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-tailLen):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}
