package server

import (
	"os/exec"
	"testing"
	"time"
)

func TestTheEndOfAProcessIsReportedAtOnce(t *testing.T) {
	cmd := exec.Command("sleep", "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var w lifeWatch
	defer w.stop()
	w.turn(cmd.Process.Pid)
	if w.ended == nil {
		t.Skip("this kernel has no pidfd")
	}
	select {
	case <-w.ended:
		t.Fatal("it is said to have ended")
	case <-time.After(100 * time.Millisecond):
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-w.ended:
	case <-time.After(5 * time.Second):
		t.Error("its end is not noticed")
	}
	_ = cmd.Wait()
}
