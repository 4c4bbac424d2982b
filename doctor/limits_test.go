package doctor

import (
	"strings"
	"testing"

	"rhumb"
)

func TestLimitsThatAreOffAreAProblem(t *testing.T) {
	examine := func(st *rhumb.LimitStats) []Finding {
		return limitsCheck(Facts{Server: Server{Routes: rhumb.RouterStatus{
			Table: rhumb.Table{Backends: []rhumb.Backend{{Name: "b", Stack: "shop", Service: "web"},
				{Name: "unlimited", Stack: "shop", Service: "api"}}},
			Backends: map[string]rhumb.BackendStats{"b": {Limits: st}},
		}}})
	}
	if found := examine(nil); found != nil {
		t.Errorf("without limits: %+v", found)
	}
	for shared, want := range map[string]struct {
		level Level
		hint  string
	}{
		"":           {OK, ""},
		"172.17.0.1": {Problem, "if a proxy of yours has that address"},
		"Cloudflare": {Problem, "add the addresses that Cloudflare publishes to --trusted-proxies"},
	} {
		found := examine(&rhumb.LimitStats{Shared: shared})
		if len(found) != 1 || found[0].Level != want.level || !strings.Contains(found[0].Hint, want.hint) ||
			!strings.Contains(found[0].Text, shared) {
			t.Errorf("%q: %+v", shared, found)
		}
	}
}
