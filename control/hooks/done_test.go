package hooks

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// settings is a Store in memory. Writing takes a second.
type settings struct {
	mu   sync.Mutex
	kept map[string]string
}

func (s *settings) Setting(_ context.Context, stack, key string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kept[stack+" "+key], nil
}

func (s *settings) SetSetting(_ context.Context, stack, key, value string) error {
	time.Sleep(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept[stack+" "+key] = value
	return nil
}

// running lists replicas with these IDs.
func running(ids ...string) func(context.Context, string) ([]rhumb.Replica, error) {
	return func(context.Context, string) ([]rhumb.Replica, error) {
		var list []rhumb.Replica
		for _, id := range ids {
			list = append(list, rhumb.Replica{ID: id})
		}
		return list, nil
	}
}

// known returns the replicas whose hooks have completed.
func known(t *testing.T, d *Done) []string {
	t.Helper()
	done, err := d.Completed(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(done))
}

func TestCompletedHooksAreKeptUntilTheirReplicaIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &settings{kept: map[string]string{}}
		d := NewDone(store, slog.New(slog.DiscardHandler), "shop")
		var work sync.WaitGroup
		for _, id := range []string{"a", "b"} { // both at once
			work.Go(func() {
				if err := d.Complete(t.Context(), id, running("a", "b")); err != nil {
					t.Error(err)
				}
			})
		}
		work.Wait()
		if got := known(t, d); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("completed: %q", got)
		}
		d = NewDone(store, slog.New(slog.DiscardHandler), "shop") // after a restart
		if got := known(t, d); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("after a restart: %q", got)
		}
		if err := d.Complete(t.Context(), "c", running("b", "c")); err != nil {
			t.Fatal(err)
		}
		if got := known(t, d); !slices.Equal(got, []string{"b", "c"}) {
			t.Errorf("a is gone: %q", got)
		}
	})
}

func TestATurnDoesNotWaitForARecordThatIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := NewDone(&settings{kept: map[string]string{}}, slog.New(slog.DiscardHandler), "shop")
		known(t, d)
		done := make(chan error, 1)
		go func() { done <- d.Complete(t.Context(), "a", running("a")) }()
		synctest.Wait()
		began := time.Now()
		if got := known(t, d); len(got) != 0 || time.Since(began) > 0 {
			t.Errorf("completed before it is written: %q, after %s", got, time.Since(began))
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestADamagedRecordHasTheHooksRunAgain(t *testing.T) {
	d := NewDone(&settings{kept: map[string]string{"shop " + doneKey: "{"}}, slog.New(slog.DiscardHandler), "shop")
	if got := known(t, d); len(got) != 0 {
		t.Errorf("completed: %q", got)
	}
}
