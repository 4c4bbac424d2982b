package preflight

import (
	"context"
	"strings"
	"testing"

	"rhumb"
	"rhumb/install"
)

// ill is a server whose proxy doesn't answer.
type ill struct{ rhumb.Server }

func (ill) Info(context.Context) (rhumb.ServerInfo, error) { return rhumb.ServerInfo{}, nil }

func TestAnUpgradeThatCannotEndWellIsRefused(t *testing.T) {
	old := install.Program{Version: "v1.1.0", Schema: 2}
	for words, next := range map[string]install.Program{
		"doesn't know the database": {Version: "v2.0.0", Schema: 1},
		"is older than":             {Version: "v1.0.0", Schema: 2},
		"the proxy does not answer": {Version: "v1.2.0", Schema: 2},
	} {
		if err := Upgrade(t.Context(), ill{}, old, next, false); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("want %q, got %v", words, err)
		}
		if err := Upgrade(t.Context(), ill{}, old, next, true); (err != nil) != (next.Schema < old.Schema) {
			t.Errorf("forced to %s: %v", next.Version, err)
		}
	}
}
