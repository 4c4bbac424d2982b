package main

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rhumb"
	"rhumb/httpapi"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rhumb": main})
}

// Each script talks to a scripted server of its own, through a real socket.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: func(env *testscript.Env) error { return serveStage(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": checkStatus, "waitfor": waitFor, "keeplogs": keepLogs, "measure": measure,
		},
	})
}

func serveStage(t *testing.T, env *testscript.Env) error {
	dir, err := os.MkdirTemp("", "rhumb") // the path of a script's own folder is too long for a socket
	if err != nil {
		return err
	}
	socket := filepath.Join(dir, "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	stage := newStage()
	go func() { done <- httpapi.Serve(ctx, ln, httpapi.New(servicesOf(stage), log), log) }()
	env.Defer(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
		os.RemoveAll(dir)
	})
	env.Values[stageKey{}] = stage
	env.Setenv("SOCKET", socket)
	env.Setenv("RHUMB_HOST", "unix://"+socket)
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("GIT_CEILING_DIRECTORIES", filepath.Dir(env.WorkDir))
	return nil
}

// checkStatus implements "status N COMMAND ARGS...": it runs the command and checks its exit status.
func checkStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND [ARG...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s ended with %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}

type stageKey struct{}

// waitFor implements "waitfor KIND": it waits until the server has sent an event of that kind.
func waitFor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor EVENT")
	}
	s := ts.Value(stageKey{}).(*stage)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for e := range s.Events(ctx, rhumb.EventFilter{Follow: true}) {
		if string(e.Kind) == args[0] {
			return
		}
	}
	ts.Fatalf("no event %s came", args[0])
}
