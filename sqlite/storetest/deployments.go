package storetest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"rhumb"
)

func oneOfFiftyWins(t *testing.T, s rhumb.Store) {
	var mu sync.Mutex
	var won []rhumb.Deployment
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			d, err := s.Begin(t.Context(), Release("shop", "web:1"), Deployment("shop"))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won = append(won, d)
			} else if rhumb.ErrorCode(err) != rhumb.Locked {
				t.Errorf("a loser got %v", err)
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d won", len(won))
	}
	same(t, stateOf(t, s, "shop"), rhumb.StackState{Name: "shop", Open: won[0].ID, Last: 1})
}

// numbersUnderConcurrency lets goroutines deploy, converge, fail and remove stacks at random. Whatever they do, the
// numbers that a stack gave out are 1, 2, 3 … and the IDs of deployments are all different.
func numbersUnderConcurrency(t *testing.T, s rhumb.Store) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	given := numbers{byStack: map[string][]int{}, ids: map[int64]bool{}}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 25 {
				r := Release(fmt.Sprintf("s%d", rnd.IntN(3)), "web:1")
				d, err := s.Begin(t.Context(), r, Deployment(r.Stack))
				if rhumb.ErrorCode(err) == rhumb.Locked {
					continue
				}
				if err != nil {
					t.Errorf("begin: %v", err)
					return
				}
				given.note(t, d, r)
				if err := anyEnding(t, s, d, rnd); err != nil {
					t.Errorf("end: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for stack, all := range given.byStack {
		slices.Sort(all)
		for i, n := range all {
			if n != i+1 {
				t.Fatalf("%s gave out %v", stack, all)
			}
		}
		if st := stateOf(t, s, stack); st.Last != len(all) || st.Open != 0 {
			t.Fatalf("%s: %d numbers were given out, state %+v", stack, len(all), st)
		}
	}
}

// numbers are those that a store gave out.
type numbers struct {
	mu      sync.Mutex
	byStack map[string][]int
	ids     map[int64]bool
}

func (n *numbers) note(t *testing.T, d rhumb.Deployment, r *rhumb.Release) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ids[d.ID] || d.To != r.Number {
		t.Errorf("deployment %d was there already, or goes to %d and not to %d", d.ID, d.To, r.Number)
	}
	n.byStack[r.Stack], n.ids[d.ID] = append(n.byStack[r.Stack], r.Number), true
}

func anyEnding(t *testing.T, s rhumb.Store, d rhumb.Deployment, rnd *rand.Rand) error {
	end := []rhumb.Phase{rhumb.PhaseConverged, rhumb.PhaseStuck, rhumb.PhasePaused}[rnd.IntN(3)]
	if err := d.Move(end, d.Started, ""); err != nil {
		return err
	}
	if _, err := s.Save(t.Context(), d); err != nil {
		return err
	}
	if rnd.IntN(4) > 0 {
		return nil
	}
	down, err := s.Begin(t.Context(), nil, rhumb.Deployment{
		Stack: d.Stack, Cause: rhumb.CauseDown, Phase: rhumb.PhaseRolling,
	})
	if rhumb.ErrorCode(err) == rhumb.Locked {
		return nil
	}
	if err == nil {
		if err = down.Move(rhumb.PhaseConverged, d.Started, ""); err == nil {
			_, err = s.Save(t.Context(), down)
		}
	}
	if err != nil {
		return err
	}
	if err := s.RemoveStack(t.Context(), d.Stack); err != nil && rhumb.ErrorCode(err) != rhumb.Conflict {
		return err
	}
	return nil
}

func oldRevision(t *testing.T, s rhumb.Store) {
	d := begin(t, s, "shop")
	now, err := s.Save(t.Context(), d)
	must(t, err)
	if now.Rev <= d.Rev {
		t.Fatalf("the revision went from %d to %d", d.Rev, now.Rev)
	}
	d.Why = "stale"
	_, err = s.Save(t.Context(), d)
	wantCode(t, err, rhumb.Conflict, "changed meanwhile")
	got, err := s.Deployment(t.Context(), "shop", d.ID)
	must(t, err)
	same(t, got, now)
}

func endedStaysEnded(t *testing.T, s rhumb.Store) {
	d := converge(t, s, "shop")
	converge(t, s, "shop")
	d.Phase = rhumb.PhaseRolling
	_, err := s.Save(t.Context(), d)
	wantCode(t, err, rhumb.Conflict, "has ended")
	d.Phase, d.Left = rhumb.PhaseConverged, []string{"a remark"}
	if _, err := s.Save(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if st := stateOf(t, s, "shop"); st.Current != 2 {
		t.Fatalf("a remark on an old deployment moved the stack: %+v", st)
	}
}

func oneSaveWins(t *testing.T, s rhumb.Store) {
	d := begin(t, s, "shop")
	results := make([]error, 20)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() { _, results[i] = s.Save(t.Context(), d) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if rhumb.ErrorCode(err) != rhumb.Conflict {
			t.Errorf("a loser got %v", err)
		}
	}
	if won != 1 {
		t.Fatalf("%d won", won)
	}
}

func staleFrom(t *testing.T, s rhumb.Store) {
	converge(t, s, "shop")
	converge(t, s, "shop")
	d := Deployment("shop")
	d.From = 1
	_, err := s.Begin(t.Context(), Release("shop", "web:3"), d)
	wantCode(t, err, rhumb.Conflict, "release 2 serves, not 1")
	d.From = 2
	_, err = s.Begin(t.Context(), Release("shop", "web:3"), d)
	must(t, err)
}

func backToOlder(t *testing.T, s rhumb.Store) {
	converge(t, s, "shop")
	converge(t, s, "shop")
	d := Deployment("shop")
	d.Cause, d.To = rhumb.CauseRollback, 1
	d, err := s.Begin(t.Context(), nil, d)
	must(t, err)
	if d.From != 2 || d.To != 1 {
		t.Fatalf("got %+v", d)
	}
	end(t, s, d, rhumb.PhaseConverged)
	same(t, stateOf(t, s, "shop"), rhumb.StackState{Name: "shop", Current: 1, Last: 2})
}

func down(t *testing.T, s rhumb.Store, stack string) {
	t.Helper()
	d := Deployment(stack)
	d.Cause = rhumb.CauseDown
	d, err := s.Begin(t.Context(), nil, d)
	must(t, err)
	end(t, s, d, rhumb.PhaseConverged)
}

func numbersGoOn(t *testing.T, s rhumb.Store) {
	converge(t, s, "shop")
	converge(t, s, "shop")
	down(t, s, "shop")
	if n := count(s.Stacks(t.Context())); n != 0 {
		t.Fatalf("%d stacks are listed after the only one was taken down", n)
	}
	must(t, s.RemoveStack(t.Context(), "shop"))
	must(t, s.RemoveStack(t.Context(), "shop"))
	if n := count(s.Releases(t.Context(), "shop")); n != 0 {
		t.Fatalf("%d releases are left", n)
	}
	if last, err := s.Deployment(t.Context(), "shop", 0); err != nil || last.Cause != rhumb.CauseDown {
		t.Fatalf("the deployment that took it down: %+v, %v", last, err)
	}
	if d := converge(t, s, "shop"); d.To != 3 || d.From != 0 {
		t.Fatalf("it came back as %+v", d)
	}
	if n := count(s.Stacks(t.Context())); n != 1 {
		t.Fatalf("%d stacks are listed after it came back", n)
	}
}

func servingStackStays(t *testing.T, s rhumb.Store) {
	d := begin(t, s, "shop")
	wantCode(t, s.RemoveStack(t.Context(), "shop"), rhumb.Conflict, "going on")
	end(t, s, d, rhumb.PhaseConverged)
	wantCode(t, s.RemoveStack(t.Context(), "shop"), rhumb.Conflict, "release 1 serves")
}

func neededReleaseStays(t *testing.T, s rhumb.Store) {
	converge(t, s, "shop")
	wantCode(t, s.RemoveRelease(t.Context(), "shop", 1), rhumb.Conflict, "it serves")
	d := begin(t, s, "shop")
	wantCode(t, s.RemoveRelease(t.Context(), "shop", 2), rhumb.Conflict, "needs it")
	end(t, s, d, rhumb.PhaseConverged)
	must(t, s.RemoveRelease(t.Context(), "shop", 1))
	must(t, s.RemoveRelease(t.Context(), "shop", 1))
	_, err := s.Release(t.Context(), "shop", 1)
	wantCode(t, err, rhumb.NotFound)
	if n := count(s.Deployments(t.Context(), "shop", 0)); n != 2 {
		t.Fatalf("%d deployments are left", n)
	}
	if d := begin(t, s, "shop"); d.To != 3 {
		t.Fatalf("the next release is %d", d.To)
	}
}

func deploymentsListed(t *testing.T, s rhumb.Store) {
	var want []rhumb.Deployment
	for range 4 {
		want = append([]rhumb.Deployment{converge(t, s, "shop")}, want...)
		converge(t, s, "other")
	}
	got, err := s.Deployments(t.Context(), "shop", 0)
	must(t, err)
	same(t, got, want)
	got, err = s.Deployments(t.Context(), "shop", 2)
	must(t, err)
	same(t, got, want[:2])
	last, err := s.Deployment(t.Context(), "shop", 0)
	must(t, err)
	same(t, last, want[0])
	_, err = s.Deployment(t.Context(), "other", want[0].ID)
	wantCode(t, err, rhumb.NotFound)
}

// Failure returns a card with what an application may have printed.
func Failure() rhumb.Failure {
	return rhumb.Failure{
		At: time.Date(2024, 5, 1, 10, 43, 0, 0, time.UTC), Service: "web", Slot: 1, Release: 1,
		Replica: "shop-web.1.1", ID: "c0ffee", Reason: "exited with 1 before it was ready", ExitCode: 1, OOM: true,
		Health: "canary-health", Logs: []string{"canary-log", "bye"},
	}
}

func failuresComeBack(t *testing.T, s rhumb.Store) {
	d := begin(t, s, "shop")
	d.Failures = []rhumb.Failure{Failure(), Failure()}
	d.Jobs, d.Left, d.Cancel, d.Volumes = []string{"migrate"}, []string{"network shop_default"}, true, true
	want, err := s.Save(t.Context(), d)
	must(t, err)
	if len(d.Failures) != 2 || len(want.Failures) != 2 {
		t.Fatal("saving took the failures away from the caller")
	}
	got, err := s.Deployment(t.Context(), "shop", d.ID)
	must(t, err)
	same(t, got, want)
}

func releaseComesBack(t *testing.T, s rhumb.Store) {
	want := Release("shop", "web:1")
	_, err := s.Begin(t.Context(), want, Deployment("shop"))
	must(t, err)
	got, err := s.Release(t.Context(), "shop", 1)
	must(t, err)
	same(t, got, *want)
	if got.Model.Services[0].Container.Entrypoint == nil {
		t.Fatal("an empty entrypoint came back as the image's own")
	}
	infos, err := s.Releases(t.Context(), "shop")
	must(t, err)
	same(t, infos, []rhumb.ReleaseInfo{want.ReleaseInfo})
}
