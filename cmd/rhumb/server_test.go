package main

import (
	"testing"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
)

func TestAVariableStandsForAFlagThatIsNotGiven(t *testing.T) {
	t.Setenv("RHUMB_KEEP_RELEASES", "3")
	t.Setenv("RHUMB_TRUSTED_PROXIES", "10.0.0.0/8,192.0.2.1")
	t.Setenv("RHUMB_DATA", "/from/environment")
	a := &app{interrupts: terminal.NewInterrupts()}
	cmd := a.serverCommand()
	if err := cmd.ParseFlags([]string{"--data", "/from/flag"}); err != nil {
		t.Fatal(err)
	}
	if err := fromEnvironment(cmd, "RHUMB_"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"data": "/from/flag", "keep-releases": "3", "trusted-proxies": "[10.0.0.0/8,192.0.2.1]"} {
		if got := cmd.Flags().Lookup(name).Value.String(); got != want {
			t.Errorf("--%s is %s, want %s", name, got, want)
		}
	}
	t.Setenv("RHUMB_KEEP_RELEASES", "many")
	if err := fromEnvironment(a.serverCommand(), "RHUMB_"); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("got %v", err)
	}
}
