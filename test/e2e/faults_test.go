package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// trappedEnv is set where the test binary makes a trap for itself and becomes the program that its arguments name.
const trappedEnv = "RHUMB_E2E_TRAPPED"

// trapped are the system calls by which content reaches a disk. Their first argument is the file.
var trapped = map[int32]string{
	unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "write", unix.SYS_FTRUNCATE: "truncate", unix.SYS_FSYNC: "sync",
	unix.SYS_FDATASYNC: "sync",
}

// faults lets a process and its children write to a folder only as it likes: the kernel asks it before each of their
// writes (seccomp's user notification).
type faults struct {
	folder string

	mu     sync.Mutex
	seen   int // writes so far
	from   int // the first that fails
	until  int // the first after it that doesn't
	with   syscall.Errno
	failed []string // what failed since the arming
	strike chan struct{}
}

// arm has some writes fail, from the n-th of those that come now. With a count of 0 all of them succeed again.
func (f *faults) arm(n, count int, with syscall.Errno) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.from, f.until, f.with = f.seen+n, f.seen+n+count, with
	if count > 0 {
		f.failed, f.strike = nil, make(chan struct{})
	}
}

// count returns the number of writes.
func (f *faults) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

// failures returns what has failed since the arming.
func (f *faults) failures() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.failed) == 0 {
		return "none failed"
	}
	return fmt.Sprintf("%d failed, first: %s", len(f.failed), f.failed[0])
}

// struck sends some time after the first failure since the arming.
func (f *faults) struck(later time.Duration) <-chan time.Time {
	f.mu.Lock()
	strike := f.strike
	f.mu.Unlock()
	c := make(chan time.Time, 1)
	go func() {
		<-strike
		time.Sleep(later)
		c <- time.Now()
	}()
	return c
}

// judge returns the error with which a call ends; 0 lets the kernel carry it out.
func (f *faults) judge(n *notification) syscall.Errno {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.pid, n.args[0]))
	if err != nil || !strings.HasPrefix(path, f.folder+"/") || strings.HasSuffix(path, ".log") {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
	if f.seen < f.from || f.seen >= f.until || f.with == syscall.ENOSPC && trapped[n.nr] == "sync" {
		return 0
	}
	if len(f.failed) == 0 {
		close(f.strike)
	}
	f.failed = append(f.failed, trapped[n.nr]+" "+strings.TrimPrefix(path, f.folder))
	return f.with
}

// newFaults makes the server's processes ask before they write to a folder. It must be called before the server starts.
func newFaults(t *testing.T, s *server, folder string) *faults {
	t.Helper()
	f := &faults{folder: folder}
	var serving sync.WaitGroup
	s.dress = func(cmd *exec.Cmd) (started func()) {
		ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		child := os.NewFile(uintptr(ends[1]), "trap")
		cmd.Args = append([]string{os.Args[0], cmd.Path}, cmd.Args[1:]...)
		cmd.Path = os.Args[0]
		cmd.Env = append(cmd.Env, trappedEnv+"=1")
		cmd.ExtraFiles = []*os.File{child}
		return func() {
			_ = child.Close()
			listener, err := received(ends[0])
			_ = unix.Close(ends[0])
			if err != nil {
				t.Errorf("the trap isn't laid: %v", err)
				return
			}
			serving.Go(func() { f.serve(listener) })
		}
	}
	s.afterEnd = serving.Wait // it ends with the last of the processes, whose writes would fail without it
	return f
}

// spring lays the trap and becomes the program of the arguments. It returns only if it can't.
func spring() error {
	runtime.LockOSThread() // the filter is this thread's, and so is the program that it becomes
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}}
	numbers := make([]int32, 0, len(trapped))
	for nr := range trapped {
		numbers = append(numbers, nr)
	}
	slices.Sort(numbers)
	for i, nr := range numbers {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(nr), Jt: uint8(len(numbers) - i)})
	}
	filter = append(filter,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	if err := unix.Sendmsg(3, []byte{0}, unix.UnixRights(int(fd)), nil, 0); err != nil {
		return fmt.Errorf("hand the listener over: %w", err)
	}
	unix.CloseOnExec(3)
	unix.CloseOnExec(int(fd))
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, trappedEnv+"=") })
	return syscall.Exec(os.Args[1], os.Args[1:], env)
}

// received returns the listener that the child sends.
func received(socket int) (int, error) {
	data, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := unix.Recvmsg(socket, data, rights, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:n])
	if err != nil || len(messages) != 1 {
		return 0, fmt.Errorf("no listener came: %v", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return 0, err
	}
	return fds[0], nil
}

// notification is the kernel's struct seccomp_notif.
type notification struct {
	id         uint64
	pid, flags uint32
	nr         int32
	arch       uint32
	ip         uint64
	args       [6]uint64
}

// verdict is the kernel's struct seccomp_notif_resp.
type verdict struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// serve answers until the last process under the filter has ended.
func (f *faults) serve(listener int) {
	defer unix.Close(listener)
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) || fds[0].Revents&unix.POLLHUP != 0 {
			return
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			continue
		}
		var n notification
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV,
			uintptr(unsafe.Pointer(&n))); errno != 0 {
			continue // the caller was killed meanwhile
		}
		v := verdict{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if errno := f.judge(&n); errno != 0 {
			v.errno, v.flags = -int32(errno), 0
		}
		_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&v)))
	}
}
