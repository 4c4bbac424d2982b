package waf

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
)

// This test's binary is also the process that looks at requests.
func TestMain(m *testing.M) {
	switch os.Getenv("WAF_TEST_PROCESS") {
	case "":
		os.Exit(m.Run())
	case "dies":
		os.Exit(1)
	}
	conn, err := net.FileConn(os.NewFile(3, "waf"))
	if err != nil {
		os.Exit(1)
	}
	if err := Serve(context.Background(), conn, plain{}, 4); err != nil {
		os.Exit(1)
	}
}

// plain is an engine that finds "evil" in a target, and does what others say.
type plain struct{}

func (plain) Inspect(i *rhumb.Inspection) rhumb.Finding {
	switch i.Target {
	case "/die":
		os.Exit(1)
	case "/panic":
		panic("as the request says")
	case "/wait":
		<-time.After(3 * time.Second)
	}
	return rhumb.Finding{Attack: strings.Contains(i.Target, "evil"), Score: len(i.Target)}
}

// guarded runs a Guard until the test ends.
func guarded(t *testing.T, process string) *Guard {
	t.Helper()
	g := New(Options{Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Command: func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "WAF_TEST_PROCESS="+process)
		return cmd
	}})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return g
}

func asked(t *testing.T, g *Guard, target string) (rhumb.Finding, error) {
	t.Helper()
	return g.Inspect(t.Context(), &rhumb.Inspection{Target: target})
}

func TestRequestsAreLookedAtWhileThatIsNeeded(t *testing.T) {
	t.Parallel()
	g := guarded(t, "serves")
	if _, err := asked(t, g, "/"); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("before it is needed: %v", err)
	}
	g.Need(t.Context(), true)
	var work sync.WaitGroup
	for n := range 50 {
		work.Go(func() {
			target := strings.Repeat("x", n)
			if n%2 == 0 {
				target += "evil"
			}
			f, err := g.Inspect(t.Context(), &rhumb.Inspection{Target: target, Body: make([]byte, rhumb.MaxWAFBody)})
			if err != nil || f.Attack != (n%2 == 0) || f.Score != len(target) {
				t.Errorf("%q: %+v, %v", target, f, err)
			}
		})
	}
	work.Wait()
	if f, err := asked(t, g, "/panic"); err != nil || !f.Attack {
		t.Errorf("a request that the engine can't bear: %+v, %v", f, err)
	}
	g.Need(t.Context(), false)
	if _, err := asked(t, g, "/"); err != nil {
		t.Errorf("a request that is under way when it isn't needed any more: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if g.Need(ctx, true); ctx.Err() != nil {
		t.Error("a process that is still there is waited for")
	}
}

func TestAProcessThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	g := guarded(t, "serves")
	g.Need(t.Context(), true)
	began := time.Now()
	if _, err := asked(t, g, "/die"); rhumb.ErrorCode(err) != rhumb.Unavailable || time.Since(began) > askTime {
		t.Errorf("the request that killed it: %v after %s", err, time.Since(began))
	}
	late, tick := time.After(20*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		if f, err := asked(t, g, "/evil"); err == nil {
			if !f.Attack || time.Since(began) < firstPause {
				t.Errorf("after %s: %+v", time.Since(began), f)
			}
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it isn't started again")
		}
	}
}

func TestWaitingForAProcessEndsWithItsFirstTry(t *testing.T) {
	t.Parallel()
	for what, process := range map[string]string{"one that dies": "dies", "one that serves": "serves"} {
		g := guarded(t, process)
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			if g.Need(ctx, true); ctx.Err() != nil {
				t.Errorf("%s: it is still waited for", what)
			}
			cancel()
		}
	}
}

func TestARequestThatTakesTooLongIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	g := guarded(t, "serves")
	g.Need(t.Context(), true)
	began := time.Now()
	_, err := asked(t, g, "/wait")
	took := time.Since(began)
	if rhumb.ErrorCode(err) != rhumb.Unavailable || took < askTime || took > askTime+time.Second {
		t.Errorf("after %s: %v", took, err)
	}
	if _, err := asked(t, g, "/"); err != nil {
		t.Errorf("the next request: %v", err)
	}
}

func TestAProcessEndsWithItsProxy(t *testing.T) {
	t.Parallel()
	ours, theirs, err := pair()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "WAF_TEST_PROCESS=serves")
	cmd.ExtraFiles = []*os.File{theirs}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirs.Close()
	l := newLink(ours)
	go l.run()
	<-l.ready
	ours.Close() // as the kernel does for a proxy that is killed
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait()
	}()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		_ = cmd.Process.Kill()
		t.Error("it goes on without a proxy")
	}
}

func TestTooManyQuestionsAreRefusedAtOnce(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	l := newLink(ours)
	defer l.end()
	for range maxOpen {
		if _, _, err := l.begin(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.ask(t.Context(), &rhumb.Inspection{}); err != errBusy {
		t.Errorf("got %v", err)
	}
}
