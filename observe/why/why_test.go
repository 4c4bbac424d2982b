package why_test

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/observefake"
	"rhumb/observe/why"
)

func faults() []fault {
	return slices.Concat(releaseFaults, replicaFaults, dependencyFaults, machineFaults)
}

// variants are of each fault: another size, other changes that aren't the cause, and another time of asking.
const variants = 4

// seedOf returns the seed of a case.
func seedOf(name string, v int) uint64 {
	h := fnv.New32a()
	fmt.Fprint(h, name, v)
	return uint64(h.Sum32())
}

// distract adds what isn't the cause: a good deployment well before the fault, or after it.
func (w *world) distract(v int) {
	switch v {
	case 1:
		w.deploy(w.at.Add(-25*time.Minute), rhumb.CauseDeploy, 40, 41, " (image of site)", "worker")
	case 2:
		w.deploy(since.Add(2*time.Minute), rhumb.CauseDeploy, 39, 40, "", "db")
	case 3:
		w.deploy(w.at.Add(-6*time.Minute), rhumb.CauseRestart, 40, 41, "", "worker")
		w.deploy(w.at.Add(9*time.Minute), rhumb.CauseDeploy, 6, 7, "", "site")
	}
}

func explain(t *testing.T, w *world, q rhumb.WhyQuery) rhumb.Explanation {
	t.Helper()
	w.run()
	lines := observefake.New()
	if _, err := lines.Append(t.Context(), w.lines); err != nil {
		t.Fatal(err)
	}
	e := why.New(why.Deps{Metrics: w.table, Lines: lines, Standings: standings{}})
	x, err := e.Why(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// standings knows nothing.
type standings struct{}

func (standings) Stack(string) (rhumb.StackInfo, time.Time) { return rhumb.StackInfo{}, time.Time{} }
func (standings) All() []rhumb.StackInfo                    { return nil }

var _ observe.Standings = standings{}

func TestTheRightCauseIsNamedFirst(t *testing.T) {
	right, total := map[string]int{}, map[string]int{}
	var mu sync.Mutex
	t.Run("faults", func(t *testing.T) {
		for _, f := range faults() {
			for v := range variants {
				if testing.Short() && v > 0 {
					continue
				}
				t.Run(fmt.Sprintf("%s %d", f.name, v), func(t *testing.T) {
					t.Parallel()
					seed := seedOf(f.name, v)
					w := newWorld(seed)
					f.begin(w, v)
					w.distract(v)
					q := rhumb.WhyQuery{Stack: "shop", Since: since, Until: until}
					if slow := strings.Contains(f.name, "memory") || strings.Contains(f.name, "leak"); v == 1 && !slow {
						q.Until = w.at.Add(6 * time.Minute)
						q.Since = q.Until.Add(-30 * time.Minute)
					}
					switch {
					case v == 2:
						q.Stack = ""
					case v == 3 && f.service != "" && f.service != "db":
						q.Service = f.service
						if f.name == "a slow service behind another" {
							q.Service = "web"
						}
					}
					x := explain(t, w, q)
					ok := len(x.Causes) > 0 && slices.Contains(f.want, x.Causes[0].Kind) &&
						(f.service == "" || x.Causes[0].Service == f.service)
					mu.Lock()
					defer mu.Unlock()
					total[f.name]++
					if ok {
						right[f.name]++
						t.Log(x.Causes[0].Text)
						return
					}
					t.Logf("WRONG (seed %d, at %s):\n%s", seed, w.at.Format("15:04:05"), show(x))
				})
			}
		}
	})
	for name, n := range total {
		if r := right[name]; r < n-1 {
			t.Errorf("%s: the right cause was first in %d of %d faults", name, r, n)
		}
	}
	r, n := sum(right), sum(total)
	t.Logf("the right cause was first in %d of %d faults", r, n)
	if 100*r < 90*n {
		t.Errorf("the right cause was first in %d of %d faults, want 90%%", r, n)
	}
}

func sum(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// show returns an explanation for the log of a test.
func show(x rhumb.Explanation) string {
	var b strings.Builder
	for _, c := range x.Causes {
		fmt.Fprintf(&b, "  cause %s %s/%s: %s\n", c.Kind, c.Stack, c.Service, c.Text)
		for _, e := range c.Evidence {
			fmt.Fprintf(&b, "      %s %s\n", e.At.UTC().Format("15:04:05"), e.Text)
		}
	}
	for _, h := range x.Happened {
		fmt.Fprintf(&b, "  %s %s %s\n", h.At.UTC().Format("15:04:05"), h.Kind, h.Text)
	}
	return b.String()
}

// quietHours are hours without a trouble, some with changes.
var quietHours = map[string]func(w *world){
	"nothing": func(*world) {},
	"a steep daily cycle": func(w *world) {
		w.steep = 0.8
	},
	"a good release": func(w *world) {
		w.deploy(w.at, rhumb.CauseDeploy, 41, 42, "", "web", "api")
	},
	"two good releases": func(w *world) {
		w.deploy(w.at, rhumb.CauseDeploy, 41, 42, "", "web")
		w.deploy(w.at.Add(9*time.Minute), rhumb.CauseDeploy, 41, 43, "", "api", "worker")
	},
	"more replicas": func(w *world) {
		w.deploy(w.at, rhumb.CauseScale, 41, 42, "", "web")
		w.since(func(w *world, _ time.Time) { w.app("web").replicas, w.app("web").cpu = 4, 0.1 })
	},
	"a clean restart": func(w *world) {
		w.deploy(w.at, rhumb.CauseRestart, 41, 42, "", "worker")
	},
	"a renewed certificate": func(w *world) {
		w.since(func(w *world, _ time.Time) { w.node.expires = began.Add(90 * 24 * time.Hour) })
	},
	"somewhat more traffic": func(w *world) {
		w.since(func(w *world, _ time.Time) { w.app("web").rate *= 1.4; w.app("web").cpu *= 1.4 })
	},
	"much more traffic that is served": func(w *world) {
		w.since(func(w *world, _ time.Time) { w.app("web").rate *= 3; w.app("web").cpu *= 2 })
	},
	"a backup that needs the disk": func(w *world) {
		w.briefly(10*time.Minute, func(w *world, _ time.Time) { w.node.busy, w.app("db").disk = 0.6, 40e6 })
	},
	"a few new lines": func(w *world) {
		for i := range 5 {
			w.say(w.at.Add(time.Duration(i)*time.Minute), "api", "ERROR the mailbox of user %d is full", i)
		}
	},
	"a good rollback": func(w *world) {
		w.deploy(w.at, rhumb.CauseRollback, 41, 40, "", "web")
	},
	"a proxy that handed over": func(w *world) {
		w.since(func(w *world, _ time.Time) { w.node.proxyStart = w.at })
		w.own(w.at.Add(100*time.Millisecond), rhumb.LineProxy, `{"level":"INFO","msg":"taking over","pid":42,"version":9}`)
		w.own(w.at.Add(200*time.Millisecond), rhumb.LineProxy, `{"level":"INFO","msg":"table served","version":9}`)
	},
	"a trouble of another stack": func(w *world) {
		w.since(func(w *world, _ time.Time) { w.app("site").errors = 0.5 })
	},
}

func TestAProxyThatDiesSoonAfterAHandoverIsNamedAsDead(t *testing.T) {
	w := newWorld(1)
	handed := w.at.Add(-3 * time.Minute)
	w.knobs = append(w.knobs, during(handed, w.at, func(w *world, _ time.Time) { w.node.proxyStart = handed }))
	w.own(handed.Add(100*time.Millisecond), rhumb.LineProxy, `{"level":"INFO","msg":"taking over","pid":42,"version":9}`)
	w.since(func(w *world, _ time.Time) { w.node.proxyStart = w.at })
	w.own(w.at.Add(200*time.Millisecond), rhumb.LineProxy, `{"level":"INFO","msg":"saved table served","version":9}`)
	x := explain(t, w, rhumb.WhyQuery{Stack: "shop", Since: since, Until: until})
	if len(x.Causes) == 0 || !strings.Contains(x.Causes[0].Text, "the proxy ended") {
		t.Errorf("at %s:\n%s", w.at.Format("15:04:05"), show(x))
	}
}

func TestAQuietHourHasNoCause(t *testing.T) {
	seeds := 4
	if testing.Short() {
		seeds = 1
	}
	for name, begin := range quietHours {
		for i := range seeds {
			t.Run(fmt.Sprintf("%s %d", name, i), func(t *testing.T) {
				t.Parallel()
				seed := seedOf(name, i)
				w := newWorld(seed)
				begin(w)
				if x := explain(t, w, rhumb.WhyQuery{Stack: "shop", Since: since, Until: until}); len(x.Causes) > 0 {
					t.Errorf("seed %d, at %s:\n%s", seed, w.at.Format("15:04:05"), show(x))
				}
			})
		}
	}
}
