package main

import (
	"bytes"
	"testing"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/install"
)

func TestTheEndOfAnUpgradeHasItsExitStatus(t *testing.T) {
	old, next := install.Program{Version: "v1"}, install.Program{Version: "v2"}
	failed := rhumb.Errorf(rhumb.Timeout, "it is not well")
	for exit, r := range map[int]install.Result{rhumb.ExitConverged: {}, rhumb.ExitRolledBack: {Failed: failed}, rhumb.ExitStuck: {Failed: failed, Left: failed}} {
		var out bytes.Buffer
		a := &app{stdout: &out, stderr: &out, interrupts: terminal.NewInterrupts(), began: true}
		if got := a.finish(upgraded(old, next, r, nil)); got != exit {
			t.Errorf("%+v: exit %d, want %d:\n%s", r, got, exit, &out)
		}
	}
}
