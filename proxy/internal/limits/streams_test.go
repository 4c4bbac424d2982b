package limits

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	ann = netip.MustParseAddr("192.0.2.1")
	bob = netip.MustParseAddr("192.0.2.2")
)

// enterNow reports whether there is a place without waiting.
func enterNow(s *Streams, k StreamKey) bool {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return s.Enter(ctx, k)
}

func TestStreamsAreBounded(t *testing.T) {
	for _, c := range []struct {
		name   string
		limits Limits
		keys   []StreamKey // of streams, one after the other
		served []bool
	}{
		{"by client", Limits{Streams: 9, BackendStreams: 9, ClientStreams: 1, Waiting: 9},
			[]StreamKey{{"a", ann}, {"a", ann}, {"a", bob}, {"b", ann}}, []bool{true, false, true, true}},
		{"by backend", Limits{Streams: 9, BackendStreams: 1, ClientStreams: 9},
			[]StreamKey{{"a", ann}, {"a", bob}, {"b", bob}}, []bool{true, false, true}},
		{"in all", Limits{Streams: 2, BackendStreams: 9, ClientStreams: 9},
			[]StreamKey{{"a", ann}, {"b", bob}, {"c", bob}}, []bool{true, true, false}},
		{"but not by a trusted peer", Limits{Streams: 9, BackendStreams: 2, ClientStreams: 1},
			[]StreamKey{{"a", netip.Addr{}}, {"a", netip.Addr{}}, {"a", netip.Addr{}}}, []bool{true, true, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := NewStreams(c.limits)
			for i, k := range c.keys {
				if got := enterNow(s, k); got != c.served[i] {
					t.Errorf("stream %d: %v", i, got)
				}
			}
			for i, k := range c.keys {
				if c.served[i] {
					s.Leave(k)
				}
			}
			if s.all != 0 || len(s.backends)+len(s.clients) > 0 {
				t.Errorf("left over: %+v", s)
			}
		})
	}
}

func TestAStreamOverItsClientsShareWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStreams(Limits{Streams: 9, BackendStreams: 9, ClientStreams: 1, Waiting: 9})
		k := StreamKey{"a", ann}
		s.Enter(t.Context(), k)
		began := time.Now()
		time.AfterFunc(time.Second, func() { s.Leave(k) })
		if !s.Enter(t.Context(), k) || time.Since(began) != time.Second {
			t.Errorf("after %v", time.Since(began))
		}
		began = time.Now()
		if s.Enter(t.Context(), k) || time.Since(began) != streamWait {
			t.Errorf("without a place: refused after %v", time.Since(began))
		}
	})
}

func TestWaitingStreamsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewStreams(Limits{Streams: 9, BackendStreams: 9, ClientStreams: 2, Waiting: 3})
		var wg sync.WaitGroup
		for _, k := range []StreamKey{{"a", ann}, {"a", ann}, {"a", bob}, {"a", bob}} {
			s.Enter(t.Context(), k)
		}
		for _, k := range []StreamKey{{"a", ann}, {"a", ann}, {"a", bob}} {
			wg.Go(func() { s.Enter(t.Context(), k) })
		}
		synctest.Wait()
		for _, k := range []StreamKey{{"a", ann}, {"a", bob}} { // too many of the client's, too many in all
			began := time.Now()
			if s.Enter(t.Context(), k) || time.Since(began) > 0 {
				t.Errorf("%v waited", k)
			}
		}
		wg.Wait()
	})
}

// Whatever comes and goes, no bound is passed, and in the end nothing is left.
func TestStreamCountsReturnToZero(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(seed, 0))
		l := Limits{Streams: 12, BackendStreams: 8, ClientStreams: 3, Waiting: 4}
		s := NewStreams(l)
		var mu sync.Mutex
		running := map[any]int{}
		note := func(k StreamKey, by int) {
			mu.Lock()
			defer mu.Unlock()
			for what, most := range map[any]int{"all": l.Streams, k.Backend: l.BackendStreams, k: l.ClientStreams} {
				if running[what] += by; running[what] > most {
					t.Errorf("%v: %d streams", what, running[what])
				}
			}
		}
		var wg sync.WaitGroup
		served := 0
		for range 3000 {
			k := StreamKey{strconv.Itoa(random.IntN(3)), netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(4))})}
			begin, patience, takes := random.IntN(20_000), random.IntN(2000), random.IntN(100)
			wg.Go(func() {
				time.Sleep(time.Duration(begin) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(patience)*time.Millisecond)
				defer cancel()
				if !s.Enter(ctx, k) {
					return
				}
				note(k, 1)
				time.Sleep(time.Duration(takes) * time.Millisecond)
				note(k, -1)
				s.Leave(k)
				mu.Lock()
				defer mu.Unlock()
				served++
			})
		}
		wg.Wait()
		if s.all != 0 || len(s.backends)+len(s.clients) > 0 || served < 100 {
			t.Errorf("%d served, left over: %+v", served, s)
		}
	})
}
