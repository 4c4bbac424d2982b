package server

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/proxyd"
)

// proxyKeeper sees to it that the proxy runs. The proxy is a process of its own that outlives the daemon.
type proxyKeeper struct {
	conf   Config
	router rhumb.Router
	log    *slog.Logger
}

const proxyLook = time.Second // between two looks at the proxy

// run looks after the proxy until ctx ends, and starts it again when it is gone, unless another service does.
func (k *proxyKeeper) run(ctx context.Context) error {
	if k.external() {
		<-ctx.Done()
		return nil
	}
	t := time.NewTicker(proxyLook)
	defer t.Stop()
	var life lifeWatch
	defer life.stop()
	for {
		pid, ok := k.answers(ctx)
		if !ok {
			pid, ok = k.revive(ctx)
		}
		if ok {
			life.turn(pid)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-life.ended: // a port without a proxy refuses: no time to lose
			life.stop()
		case <-t.C:
			if err := boundLog(k.logPath()); err != nil {
				k.log.Warn("proxy's log not shortened", "err", err)
			}
		}
	}
}

// revive starts a proxy where none answers.
func (k *proxyKeeper) revive(ctx context.Context) (pid int, ok bool) {
	if ctx.Err() != nil {
		return 0, false
	}
	k.log.Warn("proxy does not answer")
	if err := k.ensure(ctx); err != nil {
		if ctx.Err() == nil {
			k.log.Error("proxy not started", "err", err)
		}
		return 0, false
	}
	return k.answers(ctx)
}

func (k *proxyKeeper) external() bool { return k.conf.Proxy == "external" }

// answers reports whether a proxy answers, and its process.
func (k *proxyKeeper) answers(ctx context.Context) (pid int, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	st, err := k.router.Status(ctx)
	return st.PID, err == nil
}

// ensure returns once a proxy of this very binary answers. It starts one, to which an older proxy hands its sockets. It
// only waits for a proxy that another service runs.
func (k *proxyKeeper) ensure(ctx context.Context) error {
	if k.external() {
		if _, ok := k.answers(ctx); !ok {
			k.log.Warn("proxy does not answer; it is another service's", "socket", k.conf.folder().ProxySocket())
		}
		return nil
	}
	if k.current(ctx) {
		return nil
	}
	exited, err := k.start()
	if err != nil {
		return err
	}
	late := time.After(proxyd.StartTime)
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if k.current(ctx) {
				return nil
			}
		case <-exited:
			return rhumb.Errorf(rhumb.Unavailable, "the proxy ended right away: %s", k.lastWords())
		case <-late:
			return rhumb.Errorf(rhumb.Unavailable, "the proxy does not answer: %s", k.lastWords())
		}
	}
}

// current reports whether a proxy answers that runs the same file as this process.
func (k *proxyKeeper) current(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	st, err := k.router.Status(ctx)
	if err != nil {
		return false
	}
	ours, err := os.Stat("/proc/self/exe")
	if err != nil {
		return true // it can't be known
	}
	theirs, err := os.Stat("/proc/" + strconv.Itoa(st.PID) + "/exe")
	return err != nil || os.SameFile(ours, theirs)
}

func (k *proxyKeeper) logPath() string { return k.conf.folder().ProxyLog() }

// start starts the proxy in a session of its own, so that nothing that ends us ends it.
func (k *proxyKeeper) start() (exited <-chan struct{}, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "the proxy can't be started: %w", err)
	}
	out, err := os.OpenFile(k.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the proxy's log can't be opened: %w", err)
	}
	defer out.Close()
	cmd := exec.Command(exe, "proxy", "--state", k.conf.folder().Proxy(), "--socket", k.conf.folder().ProxySocket(),
		"--log-format", k.conf.LogFormat,
		"--trusted-proxies", strings.Join(k.conf.TrustedProxies, ","), "--docker-host", k.conf.DockerHost)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") // it is for this process
	})
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "the proxy can't be started: %w", err)
	}
	k.log.Info("proxy started", "pid", cmd.Process.Pid)
	gone := make(chan struct{})
	go func() { // ends with the proxy, which outlives this process, so it isn't waited for
		defer close(gone)
		_ = cmd.Wait() // its log says why
	}()
	return gone, nil
}

// lastWords returns the last line of the proxy's log.
func (k *proxyKeeper) lastWords() string {
	b, err := os.ReadFile(k.logPath())
	if err != nil {
		return err.Error()
	}
	b = b[max(0, len(b)-2000):]
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return lines[len(lines)-1]
}
