package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"rhumb"
)

// interruptRun runs a one-off and interrupts it at each event of the stage. It returns the exit status and the output.
func interruptRun(t *testing.T, command string, times int) (int, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	s := newStage()
	defer serveAt(t, s, socket)()
	var stdout, stderr bytes.Buffer
	exit := make(chan int, 1)
	go func() {
		args := []string{"run", "-p", "shop", "--host", "unix://" + socket, "web", command}
		exit <- run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
	}()
	for range s.Events(t.Context(), rhumb.EventFilter{Follow: true}) {
		if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if times--; times == 0 {
			break
		}
	}
	return <-exit, stdout.String() + stderr.String()
}

func TestAnInterruptIsPassedOnAndTheOneOffsExitCodeCounts(t *testing.T) {
	if code, out := interruptRun(t, "obey", 1); code != 7 || out != "interrupt\n" {
		t.Errorf("got %d, %q", code, out)
	}
}

func TestASecondInterruptAbandonsAOneOff(t *testing.T) {
	if code, out := interruptRun(t, "ignore", 2); code != rhumb.ExitCancelled || out != "" {
		t.Errorf("got %d, %q", code, out)
	}
}
