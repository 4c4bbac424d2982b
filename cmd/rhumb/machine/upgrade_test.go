package machine

import (
	"errors"
	"testing"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/install"
)

func TestTheEndOfAnUpgradeHasItsExitStatus(t *testing.T) {
	old, next := install.Program{Version: "v1"}, install.Program{Version: "v2"}
	failed := rhumb.Errorf(rhumb.Timeout, "it is not well")
	for exit, r := range map[int]install.Result{
		rhumb.ExitConverged:  {},
		rhumb.ExitRolledBack: {Failed: failed},
		rhumb.ExitStuck:      {Failed: failed, Left: failed},
	} {
		var o *cli.Outcome
		if err := upgraded(old, next, r, nil); !errors.As(err, &o) || o.Exit != exit || o.Words == "" {
			t.Errorf("%+v: got %+v, want exit %d", r, err, exit)
		}
	}
}
