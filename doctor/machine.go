package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"rhumb/internal/disk"
)

// Machine is this machine. It implements Files, Kernel and Network of Deps.
type Machine struct{}

var (
	_ files   = Machine{}
	_ kernel  = Machine{}
	_ network = Machine{}
)

const maxFile = 16 << 20

// Read gives a file's beginning.
func (Machine) Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// Names lists a folder.
func (Machine) Names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// Link reads a symbolic link.
func (Machine) Link(path string) (string, error) { return os.Readlink(path) }

// Exists tells whether there is something of that name.
func (Machine) Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Space looks at the file system of a folder.
func (Machine) Space(path string) (disk.Usage, error) { return disk.Look(path) }

// Clock asks the kernel how its clock is kept.
func (Machine) Clock() (Clock, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return Clock{}, err
	}
	return Clock{Synced: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0,
		Error: time.Duration(t.Maxerror) * time.Microsecond}, nil
}

// Namespace makes a network namespace for a moment and asks nftables in it for its generation.
func (Machine) Namespace() (err error, denied bool) {
	done := make(chan error)
	go func() { done <- inNamespace(askNftables) }()
	err = <-done
	return err, errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}

// inNamespace runs do on a thread with a network namespace of its own, and brings the thread back: it may be the
// process's first one, which doesn't end with its goroutine and stands for the whole process in /proc. The goroutine
// must end afterwards.
func inNamespace(do func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("no namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("no namespace: %w", err)
	}
	err = do()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// the thread stays locked, and ends with the goroutine
		return errors.Join(err, fmt.Errorf("no way back from the namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}

// maxOutput is how much of a tool's output is read.
const maxOutput = 32 << 20

// Output runs a tool. It is also looked for where only root's PATH leads.
func (Machine) Output(ctx context.Context, tool string, args ...string) ([]byte, error) {
	path, err := exec.LookPath(tool)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, tool))
		}
	}
	if err != nil {
		return nil, exec.ErrNotFound
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.WaitDelay = time.Second
	var out, said limited
	out.left, said.left = maxOutput, 1<<10
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		if len(said.b) > 0 {
			return nil, fmt.Errorf("%w: %s", err, quote(said.b))
		}
		return nil, err
	}
	return out.b, nil
}

// limited keeps the beginning of what is written to it.
type limited struct {
	b    []byte
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(l.left, len(p))
	l.b, l.left = append(l.b, p[:n]...), l.left-n
	return len(p), nil
}

// Lookup asks the system's resolver.
func (Machine) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), err
}

// Addresses lists those of the machine's interfaces.
func (Machine) Addresses() ([]netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	var addrs []netip.Addr
	for _, a := range list {
		if n, ok := a.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(n.IP); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs, err
}

// Dial opens a connection and closes it.
func (Machine) Dial(ctx context.Context, a netip.AddrPort) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", a.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// quote makes the last thing that a program says fit for a line.
func quote(said []byte) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return strconv.QuoteToGraphic(lines[len(lines)-1])
}
