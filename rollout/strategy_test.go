package rollout

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// applied is a stack as releases were stored before they kept the strategy: with what comes of it.
func applied(m *rhumb.Stack) *rhumb.Stack {
	out := *m
	out.Services = nil
	for i := range m.Services {
		s := *m.Services[i].Applied()
		s.Strategy = ""
		out.Services = append(out.Services, s)
	}
	return &out
}

func TestAStrategyIsAppliedWhereTheRolloutDecides(t *testing.T) {
	recreated := func(image string) *rhumb.Stack {
		s := web(3, image)
		s.Strategy = rhumb.StrategyRecreate
		return stack(s, db("db:1"))
	}
	rolling := stack(web(3, "web:1"), db("db:1"))
	for name, c := range map[string]struct {
		from, to *rhumb.Stack
		mode     Mode
	}{
		"to recreate":       {rolling, recreated("web:2"), Deploy},
		"between two":       {recreated("web:1"), recreated("web:2"), Deploy},
		"back to rolling":   {recreated("web:1"), stack(web(3, "web:2"), db("db:1")), Deploy},
		"restored":          {recreated("web:2"), rolling, Restore},
		"restored the same": {recreated("web:2"), recreated("web:1"), Restore},
	} {
		o := serving(41, c.from)
		for turn := range 5 {
			w, old := deploy(42, c.from, c.to), deploy(42, applied(c.from), applied(c.to))
			w.Mode, old.Mode = c.mode, c.mode
			got := Next(w, Observed(o), noon)
			if diff := cmp.Diff(Next(old, Observed(o), noon), got); diff != "" {
				t.Fatalf("%s, turn %d (-applied +kept):\n%s", name, turn, diff)
			}
			if turn == 0 && len(got.Steps) == 0 {
				t.Errorf("%s: nothing to do", name)
			}
			for i := range min(turn+1, 3) { // the old replicas go one after another
				o = o.with(fmt.Sprintf("web.41.%d", i+1), died(0))
			}
		}
	}
}
