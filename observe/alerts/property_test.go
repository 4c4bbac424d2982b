package alerts

import (
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe/notify"
)

// reader is what a person knows who reads all messages.
type reader struct {
	t     *testing.T
	known map[string]map[string]bool // by stack: the IDs of the alerts that fire, as far as messages say
}

// read takes a message and fails the test if it contradicts those before.
func (r *reader) read(m notify.Message) {
	known := r.known[m.Stack]
	if known == nil {
		known = map[string]bool{}
		r.known[m.Stack] = known
	}
	if (m.Kind == notify.Firing) != (len(m.New) > 0) || len(m.New)+len(m.Firing)+len(m.Resolved) == 0 {
		r.t.Errorf("a message of the kind %s has %d new alerts", m.Kind, len(m.New))
	}
	for _, a := range m.Resolved {
		if !known[a.ID] || a.Resolved.IsZero() {
			r.t.Errorf("%s of %s is resolved, but did not fire", a.Rule, a.Stack)
		}
		delete(known, a.ID)
	}
	for _, a := range m.Firing {
		if !known[a.ID] {
			r.t.Errorf("%s of %s still fires, but no message had it", a.Rule, a.Stack)
		}
	}
	for _, a := range m.New {
		known[a.ID] = true
	}
	if (m.Kind == notify.Resolved) != (len(known) == 0) {
		r.t.Errorf("after a message of the kind %s, %d alerts fire", m.Kind, len(known))
	}
}

func TestMessagesAgreeWithWhatHappens(t *testing.T) {
	for range 3 {
		seed := rand.Uint64()
		live(t, rand.New(rand.NewPCG(seed, 1)))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// live has alerts come and go at random for a day.
func live(t *testing.T, rng *rand.Rand) {
	w := newWorld(t)
	b := &book{standings: w, log: slog.New(slog.DiscardHandler), failed: map[string]failing{},
		state: load("", slog.Default())}
	var rules []rhumb.AlertRule
	for i := range 6 {
		rules = append(rules, rhumb.AlertRule{Name: "r" + strconv.Itoa(i), Expr: "x", Replicas: i%2 == 0,
			Severity: []rhumb.Severity{rhumb.SeverityWarning, rhumb.SeverityCritical}[rng.IntN(2)],
			For:      time.Duration(rng.IntN(3)) * time.Minute, Keep: time.Duration(rng.IntN(3)) * time.Minute})
	}
	set := newRuleSet(rules)
	person := &reader{t, map[string]map[string]bool{}}
	holds := map[string]bool{}
	visibleSince := map[string]time.Time{}
	now := time.Now()
	const day = 24 * 60 * 4
	for i := range day {
		now = now.Add(evaluateEvery)
		quiet := i > day-8*60
		fresh := quiet || rng.IntN(200) > 0
		var results []result
		for _, r := range rules {
			res := result{rule: r}
			for _, stack := range []string{"shop", "blog"} {
				key := r.Name + stack
				if rng.IntN(120) == 0 {
					holds[key] = !holds[key]
				}
				if holds[key] && !quiet {
					res.holds = append(res.holds, holdingOf(r, map[string]string{"stack": stack}, 1))
				}
			}
			if !quiet && rng.IntN(300) == 0 {
				res = result{rule: r, err: rhumb.Errorf(rhumb.Timeout, "slow")}
			}
			results = append(results, res)
		}
		disturb(b, w, rng, now, quiet)
		due, _ := b.turn(set, fresh, results, now)
		for _, m := range due {
			person.read(m)
		}
		for id, rec := range b.state.Alerts {
			if !visible(rec) {
				delete(visibleSince, id)
			} else if visibleSince[id].IsZero() {
				visibleSince[id] = now
			} else if now.Sub(visibleSince[id]) > joinTime+2*gatherTime && !person.known[rec.Stack][id] {
				t.Fatalf("no message has %s of %s since %s", rec.Rule, rec.Stack, visibleSince[id])
			}
		}
	}
	if len(b.state.Incidents) > 0 || len(person.known["shop"])+len(person.known["blog"]) > 0 {
		t.Errorf("at the end there are %v", b.state.Incidents)
	}
}

// disturb silences, deploys and restarts at random.
func disturb(b *book, w *world, rng *rand.Rand, now time.Time, quiet bool) {
	switch n := rng.IntN(1000); {
	case quiet && n < 50:
		w.deployment("shop", nil)
	case quiet:
	case n < 3:
		b.state.Silences = append(b.state.Silences, rhumb.Silence{ID: "s" + strconv.Itoa(n), Stack: "shop",
			Rule: "r" + strconv.Itoa(rng.IntN(6)), Until: now.Add(time.Duration(rng.IntN(120)) * time.Minute)})
	case n < 8:
		w.deployment("shop", &rhumb.Deployment{ID: 1, Phase: rhumb.PhaseRolling})
	case n < 16:
		w.deployment("shop", &rhumb.Deployment{ID: 1, Phase: rhumb.PhaseConverged, Ended: now})
	case n < 18:
		text, err := json.Marshal(b.state)
		again := state{}
		if err == nil {
			err = json.Unmarshal(text, &again)
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if again.Alerts == nil || again.Incidents == nil {
			w.t.Fatalf("the state is %s", text)
		}
		b.state, b.began = again, time.Time{}
	}
}
