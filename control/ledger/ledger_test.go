package ledger

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/sqlite"
	"rhumb/sqlite/storetest"
)

// book is a Ledger over a real store.
type book struct {
	*Ledger
	store  *sqlite.Store
	events []rhumb.Event
	begun  []string
}

func newBook(t *testing.T) *book {
	t.Helper()
	store := storetest.Open(t)
	b := &book{store: store}
	b.Ledger = New(Deps{
		Store:    store,
		Check:    func(context.Context, *rhumb.Stack) error { return nil },
		Router:   func(context.Context) (rhumb.RouterStatus, error) { return rhumb.RouterStatus{}, nil },
		Announce: func(_ context.Context, e rhumb.Event) { b.events = append(b.events, e) },
		Keep:     func(context.Context, rhumb.Deployment, *rhumb.Release) {},
		Begun:    func(stack string) { b.begun = append(b.begun, stack) },
		Changed:  func(string) {},
	})
	return b
}

// model is a stack of one service.
func model(image string) rhumb.Stack {
	return rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web", Replicas: 1,
		Container: rhumb.Container{Image: image}}}}
}

// to proposes a deployment of a new release with this image.
func to(image string) Propose {
	return func(_ context.Context, now rhumb.StackState) (Proposal, error) {
		d := rhumb.Deployment{Stack: "shop", Cause: rhumb.CauseDeploy, From: now.Current}
		return Proposal{Release: &rhumb.Release{Model: model(image)}, Deployment: d}, nil
	}
}

// begin begins a deployment and wants it to begin.
func (b *book) begin(t *testing.T, image string) rhumb.Deployment {
	t.Helper()
	d, err := b.Begin(t.Context(), "shop", 0, to(image))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// end ends a deployment.
func (b *book) end(t *testing.T, d rhumb.Deployment, phase rhumb.Phase) {
	t.Helper()
	if err := d.Move(phase, time.Now(), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Move(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

func TestADeploymentThatChangesNothingIsNotOpened(t *testing.T) {
	b := newBook(t)
	b.end(t, b.begin(t, "web:1"), rhumb.PhaseConverged)
	opened, before := len(b.begun), time.Now()
	if d := b.begin(t, "web:1"); d.ID != 0 || d.Phase != rhumb.PhaseConverged || d.To != 1 || d.Started.Before(before) {
		t.Errorf("got %+v", d)
	}
	back, err := b.Begin(t.Context(), "shop", 0, func(_ context.Context, now rhumb.StackState) (Proposal, error) {
		return Proposal{Deployment: rhumb.Deployment{Stack: "shop", Cause: rhumb.CauseRollback, From: now.Current,
			To: 1}}, nil
	})
	if err != nil || back.ID != 0 || back.Phase != rhumb.PhaseConverged || back.Started.Before(before) {
		t.Errorf("a rollback to the release that serves: %+v, %v", back, err)
	}
	if len(b.begun) != opened || len(b.events) != 1 {
		t.Errorf("begun %q, announced %d", b.begun, len(b.events))
	}
	b.end(t, b.begin(t, "web:2"), rhumb.PhasePaused)
	if d := b.begin(t, "web:2"); d.ID == 0 {
		t.Error("the last deployment was paused: the same model has to be deployed again")
	}
}

func TestTheEventOfADeploymentNamesWhatDiffers(t *testing.T) {
	b := newBook(t)
	b.end(t, b.begin(t, "web:1"), rhumb.PhaseConverged)
	b.end(t, b.begin(t, "web:2"), rhumb.PhaseConverged)
	_, err := b.Begin(t.Context(), "shop", 0, func(_ context.Context, now rhumb.StackState) (Proposal, error) {
		return Proposal{Deployment: rhumb.Deployment{Stack: "shop", Cause: rhumb.CauseRollback, From: now.Current,
			To: 1}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"deploy: nothing to release 1", "deploy: release 1 to release 2 (image of web)",
		"rollback: release 2 to release 1 (image of web)"}
	for i, e := range b.events {
		if i >= len(want) || e.Text != want[i] {
			t.Errorf("event %d is %q, want of %q", i, e.Text, want)
		}
	}
	if len(b.events) != len(want) {
		t.Errorf("%d events, want %d", len(b.events), len(want))
	}
}

func TestADeploymentThatWaitsIsProposedFromWhatServesThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook(t)
		first := b.begin(t, "web:1")
		if _, err := b.Begin(t.Context(), "shop", time.Second, to("web:2")); rhumb.ErrorCode(err) != rhumb.Locked {
			t.Errorf("it waits no longer than it may: %v", err)
		}
		go func() {
			time.Sleep(5 * time.Second)
			b.end(t, first, rhumb.PhaseConverged)
		}()
		d, err := b.Begin(t.Context(), "shop", time.Minute, to("web:2"))
		if err != nil || d.From != 1 || d.To != 2 {
			t.Errorf("from %d to %d, %v", d.From, d.To, err)
		}
	})
}

func TestADeploymentBeginsAfterTheOneBeforeItHasEnded(t *testing.T) {
	b := newBook(t)
	first := b.begin(t, "web:1")
	b.Router = func(context.Context) (rhumb.RouterStatus, error) { // asked after the look, before the store opens it
		if !first.Phase.Ended() {
			b.end(t, first, rhumb.PhaseConverged)
			first.Phase = rhumb.PhaseConverged
		}
		return rhumb.RouterStatus{}, nil
	}
	second := b.begin(t, "web:2")
	ended, err := b.store.Deployment(t.Context(), "shop", first.ID)
	if err != nil {
		t.Fatal(err)
	}
	if ended.Ended.IsZero() || second.Started.Before(ended.Ended) {
		t.Errorf("the second began at %s, the first ended at %s", second.Started, ended.Ended)
	}
}

// cutStore is a Store that ends a context once it was asked for a stack so many times.
type cutStore struct {
	Store
	left int
	cut  func()
}

func (s *cutStore) StackState(ctx context.Context, name string) (rhumb.StackState, error) {
	state, err := s.Store.StackState(ctx, name)
	if s.left--; s.left == 0 {
		s.cut()
	}
	return state, err
}

func TestADeploymentThatIsNotOpenedInTimeIsAnError(t *testing.T) {
	b := newBook(t)
	b.end(t, b.begin(t, "web:1"), rhumb.PhaseConverged)
	second := b.begin(t, "web:2")
	b.Router = func(context.Context) (rhumb.RouterStatus, error) { // the release that serves changes
		b.end(t, second, rhumb.PhaseConverged)
		return rhumb.RouterStatus{}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	b.Store = &cutStore{Store: b.Store, left: 2, cut: cancel} // the second time is after the conflict
	if d, err := b.Begin(ctx, "shop", time.Minute, to("web:3")); err == nil {
		t.Errorf("got %+v, %v", d, err)
	}
}

func TestOfDeploymentsThatBeginAtOnceOneIsOpened(t *testing.T) {
	b := newBook(t)
	var mu sync.Mutex
	opened, locked := 0, 0
	var work sync.WaitGroup
	for range 8 {
		work.Go(func() {
			_, err := b.Begin(t.Context(), "shop", 0, to("web:1"))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				opened++
			case rhumb.ErrorCode(err) == rhumb.Locked:
				locked++
			default:
				t.Error(err)
			}
		})
	}
	work.Wait()
	if opened != 1 || locked != 7 {
		t.Errorf("%d opened, %d refused", opened, locked)
	}
	if n := len(b.begins.used); n != 0 {
		t.Errorf("%d locks are kept", n)
	}
}

func TestABeginningThatWaitsForAnotherEndsWithItsContext(t *testing.T) {
	b := newBook(t)
	unlock, err := b.Lock(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Begin(ctx, "shop", time.Minute, to("web:1")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if other, err := b.Lock(ctx, "blog"); err == nil { // free, but the context may be seen first
		other()
	}
	if unlock(); len(b.begins.used) != 0 {
		t.Errorf("%d locks are kept", len(b.begins.used))
	}
}

func TestAChangeThatCameBetweenIsNotLost(t *testing.T) {
	b := newBook(t)
	d := b.begin(t, "web:1")
	tries := 0
	got, err := b.Update(t.Context(), "shop", d.ID, func(d *rhumb.Deployment) error {
		if tries++; tries == 1 { // between reading and storing
			if err := b.Cancel(t.Context(), "shop", d.ID, "ada"); err != nil {
				t.Error(err)
			}
		}
		d.Checked = append(d.Checked, "web")
		return nil
	})
	if err != nil || tries != 2 || !got.Cancel || got.Why != "cancelled by ada" || len(got.Checked) != 1 {
		t.Errorf("after %d tries: %+v, %v", tries, got, err)
	}
}

func TestOnlyAnOpenDeploymentIsCancelled(t *testing.T) {
	b := newBook(t)
	d := b.begin(t, "web:1")
	if err := d.Move(rhumb.PhaseRollingBack, time.Now(), "web exited with 3"); err != nil {
		t.Fatal(err)
	}
	d, err := b.Move(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Cancel(t.Context(), "shop", d.ID, "ada"); err != nil {
		t.Error(err)
	}
	now, err := b.store.Deployment(t.Context(), "shop", d.ID)
	if err != nil || now.Cancel || now.Why != "web exited with 3" {
		t.Errorf("it hides why it is rolling back: %+v, %v", now, err)
	}
	b.end(t, now, rhumb.PhaseRolledBack)
	if err := b.Cancel(t.Context(), "shop", d.ID, "ada"); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Errorf("one that has ended: %v", err)
	}
}

func TestATallyOfAnEarlierProxyCountsFromZero(t *testing.T) {
	began := time.Now()
	st := func(lost uint64) rhumb.RouterStatus {
		return rhumb.RouterStatus{Started: began,
			Table:    rhumb.Table{Backends: []rhumb.Backend{{Name: "b", Stack: "shop", Service: "web"}}},
			Backends: map[string]rhumb.BackendStats{"b": {Unserved: lost}}}
	}
	before := Tally(st(3), "shop")
	if got := Since(before, st(5), "shop"); got["web"] != 2 {
		t.Errorf("the same proxy: %v", got)
	}
	if got := Since(before, st(3), "shop"); got != nil {
		t.Errorf("nothing since: %v", got)
	}
	later := st(5)
	later.Started = began.Add(time.Minute)
	if got := Since(before, later, "shop"); got["web"] != 5 {
		t.Errorf("another proxy: %v", got)
	}
	if got := Since(rhumb.Tally{}, st(5), "shop"); got != nil {
		t.Errorf("nothing is known: %v", got)
	}
}
