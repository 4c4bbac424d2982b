// Package storetest is the contract of rhumb.Store as tests. Every store passes it. Open opens a store for other tests.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// Run runs the contract's tests. open returns an empty store for each.
func Run(t *testing.T, open func(t *testing.T) rhumb.Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s rhumb.Store)
	}{
		{"a deployment makes a release, converges, and the release serves", aDeploymentConverges},
		{"a deployment that is put back leaves the old release serving", aDeploymentIsPutBack},
		{"every ending moves the current release as the contract says", everyEnding},
		{"a second deployment is refused with its user, releases and start", aSecondIsLocked},
		{"one of fifty that begin at once wins", oneOfFiftyWins},
		{"release numbers have no gap and no double under concurrent stacks", numbersUnderConcurrency},
		{"saving an old revision is a conflict and changes nothing", oldRevision},
		{"a deployment that has ended doesn't move again", endedStaysEnded},
		{"one of many that save the same revision wins", oneSaveWins},
		{"beginning from a release that no longer serves is a conflict", staleFrom},
		{"a deployment to an older release makes none", backToOlder},
		{"numbers go on after a stack is removed", numbersGoOn},
		{"a stack that serves can't be removed", servingStackStays},
		{"a release that is needed can't be removed", neededReleaseStays},
		{"deployments are listed newest first", deploymentsListed},
		{"failures come back as they were", failuresComeBack},
		{"a release comes back as it was", releaseComesBack},
		{"what isn't there is not found", notFound},
		{"events are chosen by the filter", eventsFiltered},
		{"events get growing numbers", eventsGrow},
		{"values are set, replaced, listed and removed", values},
		{"settings are kept", settings},
		{"settings go with their stack", settingsGoWithTheirStack},
		{"a context that ended is Cancelled", contextEnded},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// Release returns a release of stack with a model that has a value in every sealed place.
func Release(stack, image string) *rhumb.Release {
	return &rhumb.Release{
		ReleaseInfo: rhumb.ReleaseInfo{
			Stack: stack, At: time.Date(2024, 5, 1, 10, 0, 0, 0, time.UTC), By: "ada@laptop", Cause: rhumb.CauseDeploy,
			Git:    rhumb.Git{Commit: "1f3c9a2", Branch: "main", Dirty: true},
			Images: map[string]rhumb.Image{"web": {Ref: image, ID: "sha256:1", Ports: []string{"80/tcp"}}},
			Specs:  map[string]string{"web": "abc"},
		},
		Model: rhumb.Stack{
			Name: stack,
			Services: []rhumb.Service{{Name: "web", Replicas: 2, Order: rhumb.StartFirst, Container: rhumb.Container{
				Image: image, Entrypoint: []string{}, Env: map[string]string{"TOKEN": "canary-env"},
			}}},
			Files: []rhumb.File{{Kind: rhumb.FileSecret, Name: "db", Hash: "h", Content: []byte("canary-secret\x00\xff")}},
		},
	}
}

// Deployment returns a deployment for Begin.
func Deployment(stack string) rhumb.Deployment {
	return rhumb.Deployment{
		Stack: stack, Cause: rhumb.CauseDeploy, By: "ada@laptop", Phase: rhumb.PhaseRolling,
		Started: time.Date(2024, 5, 1, 10, 42, 7, 0, time.UTC),
	}
}

func begin(t *testing.T, s rhumb.Store, stack string) rhumb.Deployment {
	t.Helper()
	d, err := s.Begin(t.Context(), Release(stack, "web:1"), Deployment(stack))
	must(t, err)
	return d
}

func end(t *testing.T, s rhumb.Store, d rhumb.Deployment, through ...rhumb.Phase) rhumb.Deployment {
	t.Helper()
	for _, p := range through {
		must(t, d.Move(p, d.Started.Add(time.Minute), "because"))
		var err error
		d, err = s.Save(t.Context(), d)
		must(t, err)
	}
	return d
}

func converge(t *testing.T, s rhumb.Store, stack string) rhumb.Deployment {
	t.Helper()
	return end(t, s, begin(t, s, stack), rhumb.PhaseConverged)
}

func stateOf(t *testing.T, s rhumb.Store, stack string) rhumb.StackState {
	t.Helper()
	st, err := s.StackState(t.Context(), stack)
	must(t, err)
	return st
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%v (hint: %s)", err, rhumb.ErrorHint(err))
	}
}

func wantCode(t *testing.T, err error, code rhumb.Code, words ...string) {
	t.Helper()
	if rhumb.ErrorCode(err) != code {
		t.Fatalf("got %q (%v), want %q", rhumb.ErrorCode(err), err, code)
	}
	for _, w := range words {
		if !strings.Contains(err.Error()+" / "+rhumb.ErrorHint(err), w) {
			t.Fatalf("%q is missing in: %v (hint: %s)", w, err, rhumb.ErrorHint(err))
		}
	}
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("differs (-want +got):\n%s", diff)
	}
}

func aDeploymentConverges(t *testing.T, s rhumb.Store) {
	same(t, stateOf(t, s, "shop"), rhumb.StackState{Name: "shop"})
	r := Release("shop", "web:1")
	d, err := s.Begin(t.Context(), r, Deployment("shop"))
	must(t, err)
	if r.Number != 1 || d.To != 1 || d.From != 0 || d.ID == 0 || d.Rev == 0 {
		t.Fatalf("release %d, deployment %+v", r.Number, d)
	}
	same(t, stateOf(t, s, "shop"), rhumb.StackState{Name: "shop", Open: d.ID, Last: 1})
	end(t, s, d, rhumb.PhaseConverged)
	same(t, stateOf(t, s, "shop"), rhumb.StackState{Name: "shop", Current: 1, Last: 1})
	list, err := s.Stacks(t.Context())
	must(t, err)
	same(t, list, []rhumb.StackState{{Name: "shop", Current: 1, Last: 1}})
	infos, err := s.Releases(t.Context(), "shop")
	must(t, err)
	if len(infos) != 1 || !infos[0].Served || !infos[0].Current {
		t.Fatalf("releases: %+v", infos)
	}
	second := begin(t, s, "shop")
	if second.From != 1 || second.To != 2 || second.ID <= d.ID {
		t.Fatalf("second deployment: %+v", second)
	}
}

func aDeploymentIsPutBack(t *testing.T, s rhumb.Store) {
	converge(t, s, "shop")
	end(t, s, begin(t, s, "shop"), rhumb.PhaseRollingBack, rhumb.PhaseRolledBack)
	same(t, stateOf(t, s, "shop"), rhumb.StackState{Name: "shop", Current: 1, Last: 2})
	infos, err := s.Releases(t.Context(), "shop")
	must(t, err)
	if infos[0].Number != 2 || infos[0].Served || infos[0].Current || !infos[1].Served || !infos[1].Current {
		t.Fatalf("releases: %+v", infos)
	}
}

func everyEnding(t *testing.T, s rhumb.Store) {
	for _, c := range []struct {
		phase   rhumb.Phase
		current int
		served  bool
	}{
		{rhumb.PhaseConverged, 2, true}, {rhumb.PhaseIncomplete, 2, false}, {rhumb.PhasePaused, 2, false},
		{rhumb.PhaseStuck, 1, false}, {rhumb.PhaseRolledBack, 1, false},
	} {
		stack := strings.ReplaceAll("shop-"+string(c.phase), " ", "-")
		converge(t, s, stack)
		d := begin(t, s, stack)
		if c.phase == rhumb.PhaseRolledBack {
			d = end(t, s, d, rhumb.PhaseRollingBack)
		}
		end(t, s, d, c.phase)
		same(t, stateOf(t, s, stack), rhumb.StackState{Name: stack, Current: c.current, Last: 2})
		r, err := s.Release(t.Context(), stack, 2)
		must(t, err)
		if r.Served != c.served || r.Current != (c.current == 2) {
			t.Fatalf("%s: served %v, current %v", c.phase, r.Served, r.Current)
		}
	}
}

func aSecondIsLocked(t *testing.T, s rhumb.Store) {
	converge(t, s, "shop")
	d := Deployment("shop")
	d.Started = time.Now().Truncate(time.Second)
	_, err := s.Begin(t.Context(), Release("shop", "web:1"), d)
	must(t, err)
	_, err = s.Begin(t.Context(), Release("shop", "web:2"), Deployment("shop"))
	since := d.Started.Format(time.TimeOnly)
	wantCode(t, err, rhumb.Locked,
		"another deployment of shop is going on: 1 to 2 by ada@laptop, since "+since, "--wait-lock")
	if st := stateOf(t, s, "shop"); st.Last != 2 {
		t.Fatalf("the refused deployment used up a number: %+v", st)
	}
	begin(t, s, "other") // another stack isn't locked
}

func contextEnded(t *testing.T, s rhumb.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Stacks(ctx)
	wantCode(t, err, rhumb.Cancelled)
	_, err = s.Begin(ctx, Release("shop", "web:1"), Deployment("shop"))
	wantCode(t, err, rhumb.Cancelled)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the cause is lost: %v", err)
	}
	same(t, stateOf(t, s, "shop"), rhumb.StackState{Name: "shop"})
}

func notFound(t *testing.T, s rhumb.Store) {
	converge(t, s, "shop")
	saved := rhumb.Deployment{ID: 99, Stack: "shop", Rev: 1, Phase: rhumb.PhaseRolling}
	begun := rhumb.Deployment{Stack: "shop", To: 9, Phase: rhumb.PhaseRolling}
	for what, err := range map[string]error{
		"release":          second(s.Release(t.Context(), "shop", 9)),
		"release of none":  second(s.Release(t.Context(), "none", 1)),
		"deployment":       second(s.Deployment(t.Context(), "shop", 99)),
		"last of none":     second(s.Deployment(t.Context(), "none", 0)),
		"save":             second(s.Save(t.Context(), saved)),
		"value":            second(s.Value(t.Context(), "none")),
		"begin to nowhere": second(s.Begin(t.Context(), nil, begun)),
	} {
		if rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Errorf("%s: got %v", what, err)
		}
	}
	must(t, s.RemoveRelease(t.Context(), "shop", 9))
	must(t, s.RemoveStack(t.Context(), "none"))
	must(t, s.RemoveValue(t.Context(), "none"))
	for what, n := range map[string]int{
		"releases": count(s.Releases(t.Context(), "none")), "deployments": count(s.Deployments(t.Context(), "none", 0)),
		"events": count(s.Events(t.Context(), rhumb.EventFilter{Stack: "none"})), "values": count(s.Values(t.Context())),
	} {
		if n != 0 {
			t.Errorf("%s: got %d", what, n)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func count[T any](list []T, err error) int {
	if err != nil {
		panic(fmt.Sprint(err))
	}
	return len(list)
}
