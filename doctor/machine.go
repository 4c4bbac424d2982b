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

// Read returns a file's beginning.
func (Machine) Read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}

// Names returns the names in a folder.
func (Machine) Names(dir string) ([]string, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Readdirnames(-1)
}

// Link returns the target of a symbolic link.
func (Machine) Link(path string) (string, error) { return os.Readlink(path) }

// Exists reports whether a path exists.
func (Machine) Exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Space returns the usage of a folder's file system.
func (Machine) Space(path string) (disk.Usage, error) { return disk.Look(path) }

// Clock returns the state of the kernel's clock.
func (Machine) Clock() (Clock, error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	if err != nil {
		return Clock{}, err
	}
	return Clock{Synced: state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0,
		Error: time.Duration(t.Maxerror) * time.Microsecond}, nil
}

// Namespace creates a network namespace for a moment and queries nftables in it.
func (Machine) Namespace() (err error, denied bool) {
	done := make(chan error)
	go func() { done <- inNamespace(askNftables) }()
	err = <-done
	return err, errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES)
}

// inNamespace runs do on a thread in a network namespace of its own, and then returns the thread to its old
// namespace. The thread may be the first of the process, which doesn't end with its goroutine and represents the
// process in /proc. The goroutine must end afterwards.
func inNamespace(do func() error) error {
	runtime.LockOSThread()
	home, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("create a network namespace: %w", err)
	}
	defer home.Close()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("create a network namespace: %w", err)
	}
	err = do()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// the thread stays locked and ends with the goroutine
		return errors.Join(err, fmt.Errorf("leave the network namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}

// maxOutput is how many bytes of a tool's output are read.
const maxOutput = 32 << 20

// Output runs a tool. It also searches the folders of root's PATH.
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

// limited keeps only the beginning of what is written to it.
type limited struct {
	b    []byte
	left int
}

func (l *limited) Write(p []byte) (int, error) {
	n := min(l.left, len(p))
	l.b, l.left = append(l.b, p[:n]...), l.left-n
	return len(p), nil
}

// Lookup queries the system's resolver.
func (Machine) Lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i, a := range addrs {
		addrs[i] = a.Unmap()
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), err
}

// Addresses returns the addresses of the machine's interfaces.
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

// quote returns the last line of a program's output, printable.
func quote(said []byte) string {
	lines := strings.Split(strings.TrimSpace(string(said)), "\n")
	return strconv.QuoteToGraphic(lines[len(lines)-1])
}
