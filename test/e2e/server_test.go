package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rhumb/internal/porttest"
	"rhumb/proxy"
	"rhumb/vip"
)

// server is a real "rhumb server" with a data folder, a socket and an HTTP entry of its own.
type server struct {
	t      *testing.T
	binary string
	env    []string // beside our own
	data   string
	socket string
	entry  int // the port of the HTTP entry
	https  int // the port of the entry over TLS; 0: none
	flags  []string

	metrics, dashboard int // the ports of Prometheus' API and of the dashboard; 0: none

	dress    func(*exec.Cmd) (started func()) // changes how the process is started; nil: not at all
	afterEnd func()                           // called when all processes have ended; may be nil

	mu  sync.Mutex // cmd is replaced by those who kill it
	cmd *exec.Cmd
}

// newServer starts a server that lasts as long as the test.
func newServer(t *testing.T) *server {
	t.Helper()
	return newServerOf(t, binary)
}

// newServerOf starts another binary than all tests' with further variables.
func newServerOf(t *testing.T, binary string, env ...string) *server {
	t.Helper()
	s := idleServer(t, binary, env...)
	s.start()
	s.await()
	return s
}

// idleServer makes a server that is not started yet.
func idleServer(t *testing.T, binary string, env ...string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "rhumb-e2e-") // not t.TempDir: a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, binary: binary, env: env, data: filepath.Join(dir, "data"),
		socket: filepath.Join(dir, "rhumb.sock"), entry: porttest.Free(t)}
	t.Cleanup(func() {
		s.end()
		if s.afterEnd != nil {
			s.afterEnd()
		}
		if t.Failed() {
			t.Logf("the server's log ends with:\n%s", s.logTail(60))
		}
		_ = os.RemoveAll(dir)
	})
	return s
}

func (s *server) logPath() string { return filepath.Join(filepath.Dir(s.socket), "server.log") }

// start starts the process and doesn't wait for it to answer.
func (s *server) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Error(err)
		return
	}
	defer log.Close()
	https := ""
	if s.https != 0 {
		https = fmt.Sprintf(":%d", s.https)
	}
	args := []string{"server", "--data", s.data, "--socket", s.socket, "--http", fmt.Sprintf(":%d", s.entry), "--https",
		https, "--metrics", address(s.metrics), "--dashboard", address(s.dashboard)}
	cmd := exec.Command(s.binary, append(args, s.flags...)...)
	cmd.Env = append(os.Environ(), s.env...)
	cmd.Stdout, cmd.Stderr = log, log
	started := func() {}
	if s.dress != nil {
		started = s.dress(cmd)
	}
	if err := cmd.Start(); err != nil {
		s.t.Errorf("start the server: %v", err)
		return
	}
	started()
	s.mu.Lock()
	s.cmd = cmd
	s.mu.Unlock()
}

// address returns a port of the loopback as a flag's value; of 0 it returns "".
func address(port int) string {
	if port == 0 {
		return ""
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}

// measuredServer starts a server that shows what it measures.
func measuredServer(t *testing.T, flags ...string) *server {
	t.Helper()
	s := idleServer(t, binary)
	s.metrics, s.dashboard, s.flags = porttest.Free(t), porttest.Free(t), flags
	s.start()
	s.await()
	return s
}

// await waits until the server answers.
func (s *server) await() {
	s.t.Helper()
	eventually(s.t, 30*time.Second, "the server answers", func() error {
		if r := s.rhumb("", "stacks"); r.code != 0 {
			return fmt.Errorf("rhumb stacks exits with %d: %s", r.code, r.out)
		}
		return nil
	})
}

// kill ends the process with SIGKILL.
func (s *server) kill() {
	s.mu.Lock()
	cmd := s.cmd
	s.mu.Unlock()
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// observer returns the process that keeps logs; 0: it doesn't run.
func (s *server) observer() int { return s.process("observe") }

// process returns the process of the server's that runs "rhumb VERB"; 0: there is none.
func (s *server) process(verb string) int {
	for _, pid := range s.processes() {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if args := bytes.Split(b, []byte{0}); err == nil && len(args) > 1 && string(args[1]) == verb {
			return pid
		}
	}
	return 0
}

// killAtRandom kills and restarts the server after random pauses of some seconds, until ctx ends. It returns the
// number of kills.
func (s *server) killAtRandom(ctx context.Context, seed uint64) int {
	rng := rand.New(rand.NewPCG(seed, 0))
	for n := 0; ; n++ {
		pause := 500*time.Millisecond + time.Duration(rng.Int64N(int64(4*time.Second)))
		select {
		case <-ctx.Done():
			return n
		case <-time.After(pause):
			s.kill()
			s.start()
		}
	}
}

// end stops the server, and then its proxy, which outlives it on purpose.
func (s *server) end() {
	s.mu.Lock()
	cmd := s.cmd
	s.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
	defer s.leaveNothing()
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for range 50 {
			pids := s.processes()
			if len(pids) == 0 {
				return
			}
			for _, pid := range pids {
				_ = syscall.Kill(pid, sig)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	s.t.Errorf("these processes of the server don't end: %v", s.processes())
}

// leaveNothing removes the service addresses and the routing of client addresses, which outlive all processes on
// purpose.
func (s *server) leaveNothing() {
	addresses := vip.New(vip.Options{Instance: vip.InstanceOf(filepath.Join(s.data, "proxy"))})
	if errs := addresses.Apply(context.Background(), nil); len(errs) > 0 {
		s.t.Error(errs)
	}
	if err := proxy.Forget(vip.InstanceOf(filepath.Join(s.data, "proxy"))); err != nil {
		s.t.Error(err)
	}
}

// processes returns the pids of the server and its proxy: those of our binary with our folder.
func (s *server) processes() []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		s.t.Error(err)
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		exe, err := os.Readlink(filepath.Join("/proc", e.Name(), "exe"))
		if err != nil || exe != s.binary {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && bytes.Contains(cmdline, []byte(filepath.Dir(s.data)+"/")) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (s *server) logTail(lines int) string {
	b, err := os.ReadFile(s.logPath())
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// result is the exit code of a command and its output, of both streams.
type result struct {
	code int
	out  string
}

// rhumb runs a command of the client in a folder.
func (s *server) rhumb(dir string, args ...string) result { return s.rhumbEnv(dir, nil, args...) }

func (s *server) rhumbEnv(dir string, env []string, args ...string) result {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary, args...)
	cmd.Dir = dir
	cmd.Env = append(append(os.Environ(), "RHUMB_HOST=unix://"+s.socket, "NO_COLOR=1"), env...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return result{-1, err.Error()}
	}
	return result{cmd.ProcessState.ExitCode(), string(out)}
}
