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
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/cmd/rhumb/state"
)

// process is a process of ours: this program with a subcommand.
type process struct {
	name     string   // of the subcommand
	title    string   // for people
	args     []string // of the subcommand
	env      []string // variables beside those of this process
	logFile  string
	answers  func(context.Context) (pid int, err error)
	inherits bool          // a new one takes over from an older one; otherwise the older one ends first
	pause    time.Duration // between two starts
}

func proxyProcess(conf Config, router rhumb.Router) process {
	folder := conf.folder()
	var accept []string
	if conf.AcceptProxy {
		accept = []string{"--accept-proxy-protocol"}
	}
	return process{
		name: "proxy", title: "the proxy", logFile: folder.ProxyLog(), inherits: true,
		args: append(accept, "--state", folder.Proxy(), "--socket", folder.ProxySocket(), "--log-format", conf.LogFormat,
			"--trusted-proxies", strings.Join(conf.TrustedProxies, ","), "--docker-host", conf.DockerHost,
			"--observe", conf.Observe, "--crowdsec", conf.CrowdSec.URL, "--crowdsec-key-file", conf.CrowdSec.KeyFile),
		answers: func(ctx context.Context) (int, error) {
			st, err := router.Status(ctx)
			return st.PID, err
		},
	}
}

func observeProcess(conf Config, l *link.Link) process {
	kept, o := state.KeptIn(conf.folder()), conf.Observer
	return process{
		name: "observe", title: "the process that keeps logs", logFile: kept.Log(), pause: keeperLook,
		args: []string{"--state", string(kept), "--socket", kept.Socket(), "--log-format", conf.LogFormat,
			"--docker-host", conf.DockerHost, "--server", conf.Socket, "--forward-file", o.Forward.File,
			"--alert-to-file", o.AlertTo.File, "--metrics", o.Metrics, "--dashboard", o.Dashboard,
			"--dashboard-host", strings.Join(o.Hosts, ","),
			"--metrics-days", strconv.Itoa(o.Days), "--metrics-size", strconv.Itoa(o.Size)},
		env: []string{ // all users can see arguments
			"RHUMB_OBSERVE_FORWARD=" + o.Forward.List.String(), "RHUMB_OBSERVE_ALERT_TO=" + o.AlertTo.List.String(),
		},
		answers: func(ctx context.Context) (int, error) {
			st, err := l.Status(ctx)
			return st.PID, err
		},
	}
}

// start starts the process in a session of its own, so that nothing that ends us ends it.
func (p *process) start(log *slog.Logger) (exited <-chan struct{}, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "%s can't be started: %w", p.title, err)
	}
	out, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Denied, "the log of %s can't be opened: %w", p.title, err)
	}
	defer out.Close()
	cmd := exec.Command(exe, slices.Concat([]string{p.name}, p.args)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool {
		return strings.HasPrefix(v, "NOTIFY_SOCKET=") // it is for this process
	}), p.env...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "%s can't be started: %w", p.title, err)
	}
	log.Info("process started", "process", p.name, "pid", cmd.Process.Pid)
	gone := make(chan struct{})
	go func() { // ends with the process, which outlives this one, so it isn't waited for
		defer close(gone)
		_ = cmd.Wait() // its log says why
	}()
	return gone, nil
}

// configured reports whether a process was started with these arguments and variables.
func (p *process) configured(pid int) bool {
	folder := "/proc/" + strconv.Itoa(pid)
	line, err := os.ReadFile(folder + "/cmdline")
	if err != nil {
		return true // it has ended, or can't be known
	}
	environ, err := os.ReadFile(folder + "/environ")
	if err != nil {
		return true
	}
	args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	has := strings.Split(string(environ), "\x00")
	return slices.Equal(args[1:], slices.Concat([]string{p.name}, p.args)) &&
		!slices.ContainsFunc(p.env, func(v string) bool { return !slices.Contains(has, v) })
}

// lastWords returns the last line of the process's log, or what it panicked with.
func (p *process) lastWords() string {
	b, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	b = b[max(0, len(b)-wordsRead):]
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "\t") {
		return last
	}
	for _, l := range slices.Backward(lines) { // the last line is of a goroutine's stack
		if strings.HasPrefix(l, "panic: ") || strings.HasPrefix(l, "fatal error: ") {
			return l
		}
	}
	return last
}

// wordsRead is how much of a log's end is searched for the reason of a death.
const wordsRead = 64 << 10

// endTime is how long an old process has to end before it is killed, and then once more.
const endTime = 10 * time.Second

// stopProcess ends a process and returns once it has ended.
func stopProcess(ctx context.Context, pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		late := time.Now().Add(endTime)
		for time.Now().Before(late) {
			if p.Signal(sig) != nil {
				return nil // it has ended
			}
			sig = syscall.Signal(0)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	return context.DeadlineExceeded
}
