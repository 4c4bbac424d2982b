package relist_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/observe/internal/relist"
)

// engine notes when it is watched and listed, in seconds since its start.
type engine struct {
	begun           time.Time
	listed, watched []float64
	asked           chan chan struct{}

	mu      sync.Mutex
	changes chan rhumb.Change // nil: it can't be watched
}

// report has the engine report these changes to who watches it next; nil: it can't be watched.
func (e *engine) report(changes chan rhumb.Change) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changes = changes
}

func (e *engine) watch(context.Context) (<-chan rhumb.Change, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.watched = append(e.watched, e.now())
	if e.changes == nil {
		return nil, errors.New("away")
	}
	return e.changes, nil
}

func (e *engine) now() float64 { return time.Since(e.begun).Seconds() }

// follow runs a loop over the engine until the function returns.
func follow(t *testing.T, e *engine, do func()) {
	synctest.Test(t, func(t *testing.T) {
		e.begun, e.asked = time.Now(), make(chan chan struct{})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			relist.Loop{Every: 10 * time.Second, Pause: time.Second, Retry: 4 * time.Second, Asked: e.asked,
				List:  func(context.Context) { e.listed = append(e.listed, e.now()) },
				Watch: e.watch}.Run(ctx)
		}()
		synctest.Wait()
		do()
		stop()
		<-ended
	})
}

func (e *engine) were(t *testing.T, listed, watched []float64) {
	t.Helper()
	if !slices.Equal(e.listed, listed) || !slices.Equal(e.watched, watched) {
		t.Errorf("listed at %v, want %v; watched at %v, want %v", e.listed, listed, e.watched, watched)
	}
}

func TestManyChangesAtATimeAreOneList(t *testing.T) {
	e := &engine{}
	follow(t, e, func() {
		changes := make(chan rhumb.Change, 100)
		e.report(changes)
		pass(4500 * time.Millisecond) // the second try finds the engine
		for range 30 {
			changes <- rhumb.Change{}
		}
		pass(3 * time.Second)
	})
	e.were(t, []float64{0, 4, 5.5}, []float64{0, 4})
}

func TestAWatchThatEndsIsBegunAgain(t *testing.T) {
	e := &engine{}
	follow(t, e, func() {
		changes := make(chan rhumb.Change)
		e.report(changes)
		pass(5 * time.Second)
		e.report(nil)
		close(changes)
		pass(4500 * time.Millisecond)
	})
	e.were(t, []float64{0, 4, 6, 9}, []float64{0, 4, 9})
}

func TestWithoutChangesItIsListedNowAndThen(t *testing.T) {
	e := &engine{}
	follow(t, e, func() {
		e.report(make(chan rhumb.Change))
		pass(35 * time.Second)
	})
	e.were(t, []float64{0, 4, 10, 20, 30}, []float64{0, 4})
}

func TestWhoAsksForAListWaitsForIt(t *testing.T) {
	e := &engine{}
	follow(t, e, func() {
		listed := make(chan struct{})
		e.asked <- listed
		<-listed
		if len(e.listed) != 2 {
			t.Errorf("listed %d times", len(e.listed))
		}
	})
}

// pass lets time go by in the bubble.
func pass(d time.Duration) { <-time.After(d) }
