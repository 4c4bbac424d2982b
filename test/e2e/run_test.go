package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// oneOffs returns the names of the stack's one-offs, including dead ones.
func (k *stack) oneOffs() []string {
	var list []string
	for _, name := range k.containers() {
		if strings.Contains(name, ".run.") {
			list = append(list, name)
		}
	}
	return list
}

// begin begins a command of the client about the stack, and doesn't wait for its end.
func (k *stack) begin(args ...string) *exec.Cmd {
	k.t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Dir = k.dir
	cmd.Env = append(os.Environ(), "RHUMB_HOST=unix://"+k.s.socket, fmt.Sprintf("PORT=%d", k.port))
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	return cmd
}

func TestAOneOffHasWhatItsServiceHas(t *testing.T) {
	t.Parallel()
	needDocker(t)
	n := newNotes(t, newServer(t))
	n.must(0, "deploy")
	n.take()
	out := n.must(7, "run", "-T", "-e", "MORE=two", "app", "do", "get", "http://db:8000/", "get", "http://app:8000/", "print", "${RELEASE} $MORE", "note", "by hand", "exit", "7")
	if !strings.Contains(out, "one two") {
		t.Errorf("its variables: %s", out)
	}
	if got := n.take(); count(got, "by hand") != 1 {
		t.Errorf("its volume: %q", got)
	}
	out = n.must(0, "run", "-T", "--entrypoint", "/app do print", "app", "hello there")
	if !strings.Contains(out, "hello there") {
		t.Errorf("another entrypoint: %s", out)
	}
	n.must(2, "run", "--rm=false", "app", "exit", "0")

	cmd := n.begin("run", "-p", n.name, "-T", "app", "sleep", "1h")
	eventually(t, 20*time.Second, "it runs", func() error {
		if len(n.oneOffs()) != 1 {
			return errors.New("no one-off")
		}
		return nil
	})
	names := docker(t, "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.Aliases}}{{end}}", n.oneOffs()[0])
	if strings.Contains(names, "app") {
		t.Errorf("it answers to the name of its service: %s", names)
	}
	_ = cmd.Process.Kill() // whoever ran it goes away
	_ = cmd.Wait()
	n.without(t, "its caller has gone")
	n.passSignal(t)
}

// passSignal ends a one-off by a signal to its caller, which ends as the one-off does.
func (n *notes) passSignal(t *testing.T) {
	t.Helper()
	cmd := n.begin("run", "-p", n.name, "-T", "-e", "ADDR=none", "-e", "RELEASE=by hand", "app")
	eventually(t, 20*time.Second, "the one-off listens", func() error {
		if count(n.take(), "started by hand") != 1 {
			return errors.New("not yet")
		}
		return nil
	})
	_ = cmd.Process.Signal(syscall.SIGTERM)
	if err := cmd.Wait(); err != nil { // the program exits with 0 after a stop signal
		t.Errorf("the caller ended with %v", err)
	}
	if got := n.take(); count(got, "stopping by hand") != 1 {
		t.Errorf("the signal: %q", got)
	}
	n.without(t, "it has ended")
}

// without waits until there is no one-off any more.
func (n *notes) without(t *testing.T, when string) {
	t.Helper()
	eventually(t, 30*time.Second, "no one-off once "+when, func() error {
		if left := n.oneOffs(); len(left) > 0 {
			return fmt.Errorf("left: %v", left)
		}
		return nil
	})
}

func TestADaemonThatDiesDuringAHookLeavesNothingAndFinishes(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	n := newNotes(t, s)
	n.must(0, "deploy")
	n.take()
	caller := n.begin("run", "-p", n.name, "-T", "app", "sleep", "1h")
	defer caller.Wait()
	eventually(t, 20*time.Second, "the one-off runs", func() error {
		if len(n.oneOffs()) == 0 {
			return errors.New("none")
		}
		return nil
	})
	n.release("two", "HOOK=sleep 3s note migrated", "GREET=sleep 2s note greeted")
	done := make(chan result, 1)
	go func() { done <- n.rhumb("deploy") }()
	for _, line := range []string{"migrate two", "greet two"} { // during the migration, then during a replica's own hook
		n.noted(line, 1)
		s.kill()
		s.start()
	}
	r := <-done
	got := n.take()
	t.Logf("exit %d: %q\n%s", r.code, got, r.out)
	if r.code != 0 || count(got, "migrate two") != 1 || count(got, "migrated") != 1 || count(got, "greeted") < 2 ||
		count(got, "greeted") > 3 {
		t.Errorf("exit %d: %q", r.code, got)
	}
	n.without(t, "the daemon that ran it has died")
}
