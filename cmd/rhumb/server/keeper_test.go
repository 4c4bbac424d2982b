package server

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// dead is a process that can't be started: its log's folder doesn't exist.
func dead(name string, looks *int) *keeper {
	return &keeper{log: slog.New(slog.DiscardHandler), process: process{name: name, title: name, pause: keeperLook,
		logFile: "/nowhere/log", answers: func(context.Context) (int, error) {
			*looks++
			return 0, errors.New("no answer")
		}}}
}

func TestTheServerStopsWhileItsProcessIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		k := dead("observe", &looks)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		began := time.Now()
		if err := k.run(ctx); err != nil || time.Since(began) != 10*time.Minute {
			t.Errorf("it ended after %s with %v", time.Since(began), err)
		}
		if looks < 1800 || looks > 2000 { // each second a look, and two for the try to start it
			t.Errorf("it looked %d times", looks)
		}
	})
}

func TestAnotherServicesProcessIsNotStarted(t *testing.T) {
	looks := 0
	k := dead("observe", &looks)
	k.external = true
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := k.run(ctx); err != nil || looks > 0 {
		t.Errorf("it looked %d times and ended with %v", looks, err)
	}
	if err := k.ensure(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestTheReasonOfADeathIsTheLastLineOfTheLogOrItsPanic(t *testing.T) {
	const stack = "\n\ngoroutine 7 [running]:\n\tsync/waitgroup.go:238 +0x73\n"
	for name, text := range map[string]string{
		"the last line": "panic: an older one" + stack + "one\nno space left\n",
		"a panic":       "panic: an older one\none\npanic: no space left" + stack,
	} {
		file := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		looks := 0
		k := dead("observe", &looks)
		k.logFile = file
		exited := make(chan struct{})
		close(exited)
		err := k.await(t.Context(), exited)
		if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.HasSuffix(err.Error(), "no space left") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAProcessThatIsStillOpeningIsNotStartedTwice(t *testing.T) {
	looks := 0
	k := dead("observe", &looks)
	child := make(chan struct{})
	k.child = child
	if err := k.end(t.Context()); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("while it lives: %v", err)
	}
	close(child)
	if err := k.end(t.Context()); err != nil {
		t.Errorf("after its death: %v", err)
	}
}

func TestAnOldProcessEnds(t *testing.T) {
	for _, script := range []string{"sleep 60", "trap '' TERM; echo deaf; sleep 60 & wait; sleep 60"} {
		cmd := exec.Command("sh", "-c", script)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		if strings.HasPrefix(script, "trap") && testing.Short() {
			_ = cmd.Process.Kill()
			<-ended
			continue // it takes ten seconds
		}
		if err := stopProcess(t.Context(), cmd.Process.Pid); err != nil {
			t.Errorf("%s: %v", script, err)
		}
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s: it lives on", script)
		}
	}
}
