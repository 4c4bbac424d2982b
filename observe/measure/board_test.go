package measure

import (
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"context"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestASeriesWithoutASampleEnds(t *testing.T) {
	r := newRecord(t)
	b := newBoard(r, quiet())
	b.set(1, "rhumb_stack_release", "stack", "shop")
	b.set(2, "rhumb_stack_release", "stack", "blog")
	b.set(math.NaN(), "rhumb_node_load1")
	b.publish(t.Context(), noon)
	r.is("", map[string]float64{`rhumb_stack_release{stack="shop"}`: 1, `rhumb_stack_release{stack="blog"}`: 2})
	b.set(3, "rhumb_stack_release", "stack", "shop")
	b.set(4, "rhumb_stack_release", "stack", "shop") // the first counts
	b.publish(t.Context(), noon.Add(time.Second))
	r.is("", map[string]float64{`rhumb_stack_release{stack="shop"}`: 3})
	if at := r.ended[`rhumb_stack_release{stack="blog"}`]; !at.Equal(noon.Add(time.Second)) {
		t.Errorf("it ended at %v", at)
	}
}

func TestASeriesKeepsItsPointerUntilItEnds(t *testing.T) {
	b := newBoard(newRecord(t), quiet())
	pointers := map[any]bool{}
	for i := range 4 {
		if i != 2 {
			b.set(1, "rhumb_node_load1")
			pointers[b.samples[0].Series] = true
		}
		b.publish(t.Context(), noon.Add(time.Duration(i)*time.Second))
	}
	if len(pointers) != 2 {
		t.Errorf("%d pointers, want one before the end and one after it", len(pointers))
	}
}

func TestDiscardedSamplesLeaveNoTrace(t *testing.T) {
	r := newRecord(t)
	b := newBoard(r, quiet())
	b.set(1, "rhumb_node_load1")
	b.publish(t.Context(), noon)
	b.set(2, "rhumb_node_load1")
	b.set(2, "rhumb_node_cpus")
	b.discard()
	b.publish(t.Context(), noon.Add(time.Second))
	r.is("", map[string]float64{})
	if len(r.ended) != 1 || len(b.mine) != 0 {
		t.Errorf("ended: %v; left: %v", r.ended, b.mine)
	}
}

func TestAFullSinkIsLoggedOnce(t *testing.T) {
	r := newRecord(t)
	var out strings.Builder
	b := newBoard(r, slog.New(slog.NewTextHandler(&out, nil)))
	for i, err := range []error{nil, errors.New("full"), errors.New("full"), nil, nil} {
		r.err = err
		b.set(1, "rhumb_node_load1")
		b.publish(t.Context(), noon.Add(time.Duration(i)*time.Second))
	}
	if strings.Count(out.String(), "samples not kept") != 1 || strings.Count(out.String(), "kept again") != 1 {
		t.Error(out.String())
	}
}

// TestABoardShowsWhatWasSetLast sets random series, and compares what the sink has with what was set.
func TestABoardShowsWhatWasSetLast(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	r := newRecord(t)
	b := newBoard(r, quiet())
	for turn := range 200 {
		want := map[string]float64{}
		for range rng.IntN(6) {
			stack, v := string(rune('a'+rng.IntN(5))), rng.Float64()
			b.set(v, "rhumb_stack_release", "stack", stack)
			if key := `rhumb_stack_release{stack="` + stack + `"}`; want[key] == 0 {
				want[key] = v
			}
		}
		if rng.IntN(5) == 0 {
			b.discard()
			clear(want)
		}
		b.publish(t.Context(), noon.Add(time.Duration(turn)*time.Second))
		r.is("", want)
	}
}

func TestTicksAreAligned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 31*time.Second)
		defer cancel()
		time.Sleep(1234 * time.Millisecond)
		var at []int
		begin := time.Now().Truncate(time.Minute)
		every(ctx, 5*time.Second, func(ctx context.Context, tick time.Time) {
			at = append(at, int(tick.Sub(begin)/time.Second))
			if len(at) == 2 {
				<-ctx.Done() // as long as it may
				if got := time.Since(tick); got != 5*time.Second {
					t.Errorf("a call had %v", got)
				}
				time.Sleep(time.Second) // and longer: the next one is left out
			}
		})
		if want := []int{5, 10, 20, 25, 30}; len(at) != len(want) || at[2] != 20 || at[4] != 30 {
			t.Errorf("ticks at %v, want %v", at, want)
		}
	})
}
