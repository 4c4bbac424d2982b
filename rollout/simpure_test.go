package rollout

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"rhumb"
	"rhumb/rollout/standing"
)

// question is one question about a stack; its answer is only compared.
type question func(st *standing.Stack) any

// mustHold are the conditions of a deployment that has converged.
var mustHold = []func(st *standing.Stack) bool{
	(*standing.Stack).Prepared, (*standing.Stack).Settled, (*standing.Stack).Published, (*standing.Stack).Calm,
	func(st *standing.Stack) bool { return !st.AddressesFirst() },
	func(st *standing.Stack) bool { return !st.OldServes() },
	func(st *standing.Stack) bool { return len(st.Unchecked()) == 0 },
}

// questions are all questions about a stack as a whole.
var questions = []question{
	func(st *standing.Stack) any { return st.Look() },
	func(st *standing.Stack) any { f, look := st.Failed(); return [2]any{f, look} },
	func(st *standing.Stack) any { return st.InPlace() },
	func(st *standing.Stack) any { return st.Converged() },
	func(st *standing.Stack) any { return st.PutBack() },
	func(st *standing.Stack) any { return st.Removed() },
	func(st *standing.Stack) any { return st.AnyGivenUp() },
	func(st *standing.Stack) any { return st.Unwanted() },
	func(st *standing.Stack) any { return st.ExtraNetworks() },
	func(st *standing.Stack) any { return st.Before() },
	func(st *standing.Stack) any { return st.Left() },
}

// asked returns all questions about a stack, its services and their slots.
func asked(st *standing.Stack) []question {
	all := append([]question(nil), questions...)
	for _, hold := range mustHold {
		all = append(all, func(st *standing.Stack) any { return hold(st) })
	}
	for i, s := range st.Services {
		of := func(ask func(s *standing.Service) any) {
			all = append(all, func(st *standing.Stack) any { return ask(st.Services[i]) })
		}
		of(func(s *standing.Service) any { return s.Blocked() })
		of(func(s *standing.Service) any { return s.Unjoined() })
		of(func(s *standing.Service) any { return s.Answers() })
		of(func(s *standing.Service) any { return s.Settled() })
		of(func(s *standing.Service) any { return s.Stands() })
		of(func(s *standing.Service) any { return s.WatchedUntil() })
		for n := range s.Slots {
			of(func(s *standing.Service) any { return [2]bool{s.Slots[n].OldServes(), s.Slots[n].NameTaken()} })
		}
		for n := range s.All {
			of(func(s *standing.Service) any {
				r := s.All[n]
				return [5]any{s.Serves(r), s.Completed(r), s.Overdue(r), s.Unrecorded(r), s.Stray(r)}
			})
		}
	}
	return all
}

// checkPure asks everything about a look twice, in two random orders, and nothing may depend on it: neither an answer,
// nor the standing, nor the decision that follows. It returns what is wrong; "": nothing.
func checkPure(rng *rand.Rand, w Wanted, o Observed, now time.Time, d Decision) string {
	st, fresh := standing.Of(w, &o, now), standing.Of(w, &o, now)
	all := asked(st)
	answers := make([]any, len(all))
	for _, i := range rng.Perm(len(all)) {
		answers[i] = all[i](st)
	}
	if !reflect.DeepEqual(st, fresh) {
		return "asking changes how the stack stands"
	}
	for _, i := range rng.Perm(len(all)) {
		if again := all[i](st); !reflect.DeepEqual(again, answers[i]) {
			return "the order of questions changes an answer"
		}
	}
	done := true
	for _, i := range rng.Perm(len(mustHold)) {
		hold := mustHold[i](st) // every condition is asked, whatever the others are
		done = done && hold
	}
	if w.Mode == Deploy && w.Release != 0 && w.Model != nil && d.Failed == "" && d.Done != done {
		return "the order of conditions changes whether the deployment has converged"
	}
	if after := decide(st); !reflect.DeepEqual(after, d) {
		return "asking changes the decision"
	}
	return ""
}

func TestQuestionsMayBeAskedInAnyOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2)) // the simulation's own dice aren't touched
	checked, converged := 0, 0
	for seed := uint64(1); seed <= 60; seed++ {
		s := newSim(seed, nil)
		s.check.each = func(w Wanted, o Observed, d Decision) {
			checked++
			if d.Done && w.Mode == Deploy {
				converged++
			}
			if wrong := checkPure(rng, w, o, s.now, d); wrong != "" {
				t.Fatalf("seed %d, turn %d: %s", seed, s.turns, wrong)
			}
		}
		if err := s.live(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
	if converged < 50 {
		t.Errorf("only %d of %d looks have converged", converged, checked)
	}
	t.Logf("%d looks, %d of them converged", checked, converged)
}

func TestAskingDoesNotChangeADecision(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range 500 {
		w, o, now := anyWorld(rng)
		if wrong := checkPure(rng, w, o, now, Next(w, o, now)); wrong != "" {
			t.Fatalf("world %d: %s", i, wrong)
		}
	}
}

func TestADeploymentWaitsForWhatItWatchesBeforeItChecks(t *testing.T) {
	s := web(1, "b")
	s.Update.Monitor = 10 * time.Second
	s.After = &rhumb.Check{Path: "/", Port: 80, Timeout: time.Minute}
	two := stack(s)
	w := deploy(42, stack(web(1, "a")), two)
	o := serving(42, two)
	o.Ready["web.42.1"] = noon.Add(-4 * time.Second)
	checkAll(t, []look{
		{name: "watched, not checked", w: w, o: o, wait: "watched for failures", wake: 6 * time.Second},
		{name: "checked then", w: w, o: o, now: noon.Add(6 * time.Second), wait: "checked",
			want: []string{"check web (before shop@42 counts as converged)"}},
	})
}
