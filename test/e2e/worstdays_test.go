package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"rhumb"
)

// backLimit is how soon a stack serves again, or a deployment goes on, once everything is up.
const backLimit = 10 * time.Second

// outage is how long the engine is away.
const outage = 10 * time.Second

func TestAnEngineThatIsAwayOrHangsAndARebootAreSurvived(t *testing.T) {
	if os.Getenv(nestedEnv) == "" {
		needDocker(t)
		runNested(t)
		return
	}
	e := startEngine(t, "--live-restore")
	docker(t, "load", "-i", os.Getenv("RHUMB_E2E_IMAGE"))
	s := newServer(t)
	k := newTrio(t, s)
	k.must(0, "deploy")
	x := &torment{trioStack: k, begin: k.version, want: rhumb.PhaseConverged, serves: 1}
	t.Run("stopped", func(t *testing.T) {
		x.without(t, func() { e.stop(syscall.SIGTERM) }, e.start)
	})
	t.Run("killed", func(t *testing.T) {
		if longer(0, 1) == 0 {
			t.Skip("TestARestartedEngineHeals kills one too; here only with RHUMB_TEST_LONG=1")
		}
		x.without(t, func() { e.stop(syscall.SIGKILL) }, e.start)
	})
	t.Run("hanging", func(t *testing.T) {
		x.without(t, func() { e.signal(syscall.SIGSTOP) }, func() { e.signal(syscall.SIGCONT) })
	})
	t.Run("reboot", func(t *testing.T) {
		s.crash()
		e.reboot()
		s.start()
		x.serving(t, time.Now())
	})
}

// without stops the engine for a while. Running replicas keep serving. A deployment that starts meanwhile is refused
// or waits, and one that is open continues afterwards.
func (x *torment) without(t *testing.T, away, back func()) {
	t.Helper()
	l := startLoad(t, loadPlan{urls: []string{x.url("/")}, rate: 40, inner: x.innerURL("api")})
	x.begin(x.v + 1)
	asked := make(chan result, 1)
	go func() { asked <- x.rhumb("deploy", "--wait-timeout", "1m") }()
	time.Sleep(700 * time.Millisecond) // it is under way
	away()
	second := make(chan result, 1)
	go func() { second <- x.rhumb("deploy") }()
	time.Sleep(outage)
	back()
	up := time.Now()
	r := <-second
	t.Logf("a deployment meanwhile: exit %d, %.1f s after the engine was back: %s", r.code, time.Since(up).Seconds(),
		r.out)
	if r.code != 1 {
		t.Errorf("a deployment meanwhile exits with %d, want a refusal", r.code)
	}
	r = <-asked
	t.Logf("the deployment that was under way: exit %d, %.1f s after the engine was back:\n%s", r.code,
		time.Since(up).Seconds(), r.out)
	if last := x.last(); !last.Phase.Ended() {
		t.Errorf("the deployment that was under way is still %s", last.Phase)
	}
	x.serving(t, up)
	if y := l.end(); y.failed > 0 {
		t.Errorf("meanwhile: %v", y)
	} else {
		t.Log(y)
	}
}

// serving waits until all is as the last deployment that converged left it.
func (x *torment) serving(t *testing.T, up time.Time) {
	t.Helper()
	eventually(t, backLimit, "all is well", func() error {
		code, body, err := fetch(x.url("/"))
		if err != nil || code != 200 {
			return fmt.Errorf("%d %q %v", code, body, err)
		}
		if x.last().ID == 0 {
			return errors.New("the server doesn't answer")
		}
		return x.wholeNow()
	})
	t.Logf("all is well %.1f s after everything was up", time.Since(up).Seconds())
}

// signal sends a signal to dockerd alone.
func (e *engine) signal(sig syscall.Signal) { _ = e.cmd.Process.Signal(sig) }

// crash ends the server and its proxy as a power cut does.
func (s *server) crash() {
	s.kill()
	for _, pid := range s.processes() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// reboot leaves the engine as a power cut does: nothing runs, and memory, links and rules are gone.
func (e *engine) reboot() {
	e.t.Helper()
	names := map[string]bool{"dockerd": true, "containerd": true, "containerd-shim": true, "app": true,
		"docker-proxy": true}
	for range 20 {
		left := 0
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, dir := range dirs {
			comm, err := os.ReadFile(filepath.Join(dir, "comm"))
			name := strings.TrimSpace(string(comm))
			if err == nil && (names[name] || strings.HasPrefix(name, "containerd-shim")) {
				var pid int
				if _, err := fmt.Sscanf(filepath.Base(dir), "%d", &pid); err == nil && pid > 1 &&
					syscall.Kill(pid, syscall.SIGKILL) == nil {
					left++
				}
			}
		}
		if left == 0 {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	_ = e.cmd.Wait()
	script := `
umount -l /run/docker/netns/* /run/netns/* /run/rhumb/files 2>/dev/null
rm -rf /run/* 2>/dev/null
for link in $(ls /sys/class/net); do [ $link = lo ] || ip link del $link 2>/dev/null; done
iptables -F; iptables -X; iptables -t nat -F; iptables -t nat -X; nft flush ruleset 2>/dev/null
true`
	if out, err := exec.Command("sh", "-c", script).CombinedOutput(); err != nil {
		e.t.Fatalf("reboot: %v\n%s", err, out)
	}
	e.start()
}
