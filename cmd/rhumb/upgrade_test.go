package main

import (
	"bytes"
	"strings"
	"testing"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
	"rhumb/install"
)

func TestAnUpgradeThatCanNotEndWellIsRefused(t *testing.T) {
	old := install.Program{Version: "v1.1.0", Schema: 2, Content: []byte("old")}
	for words, next := range map[string]install.Program{
		"is what runs here already": old,
		"doesn't know the database": {Version: "v2.0.0", Schema: 1},
		"is older than":             {Version: "v1.0.0", Schema: 2},
	} {
		if err := mayUpgrade(t.Context(), nil, old, next, false); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want %q, got %v", words, err)
		}
	}
}

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
