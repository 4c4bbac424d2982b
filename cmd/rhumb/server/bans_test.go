package server

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/httpapi/wire"
)

// ledger is a proxy's book as the daemon uses it.
type ledger struct {
	mu     sync.Mutex
	notes  []rhumb.BanNote
	spared []netip.Addr
	err    error
}

func (l *ledger) ReportMatches(context.Context, []rhumb.BanMatch) error { return nil }

func (l *ledger) Spare(_ context.Context, a netip.Addr) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return l.err
	}
	l.spared = append(l.spared, a)
	return nil
}

func (l *ledger) BanNews(ctx context.Context, after uint64) ([]rhumb.BanNote, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return nil, l.err
	}
	i := slices.IndexFunc(l.notes, func(n rhumb.BanNote) bool { return n.Number > after })
	if i < 0 {
		return nil, nil
	}
	return slices.Clone(l.notes[i:]), nil
}

// happen adds bans by a rule of the stack.
func (l *ledger) happen(stack string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range n {
		at := time.Now()
		if len(l.notes) > 0 {
			at = time.UnixMicro(max(at.UnixMicro(), int64(l.notes[len(l.notes)-1].Number)+1))
		}
		l.notes = append(l.notes, rhumb.BanNote{Number: uint64(at.UnixMicro()), Ban: rhumb.Ban{
			Client: netip.MustParsePrefix(fmt.Sprintf("203.0.113.%d/32", i)), Reference: "R", Reason: "noise",
			Stack: stack, Service: "web", Since: at, Until: at.Add(10 * time.Minute)}})
	}
}

// told keeps events.
type told struct {
	mu  sync.Mutex
	all []rhumb.Event
}

func (t *told) announce(_ context.Context, e rhumb.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, e)
}

func (t *told) events(context.Context, rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := slices.Clone(t.all)
	return func(yield func(rhumb.Event, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// run runs a part until stop.
func runPart(t *testing.T, part func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// passes lets time pass, in a bubble.
func passes(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestBansAreAnnouncedOnceAndNotTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, to := &ledger{}, &told{}
		n := &banNews{l, to.announce, to.events, slog.New(slog.DiscardHandler)}
		stop := runPart(t, n.run)
		passes(time.Second)
		l.happen("shop", 2)
		passes(2 * time.Second)
		if len(to.all) != 2 || to.all[0].Text != "203.0.113.0 banned for 10m: noise (R)" || to.all[0].Stack != "shop" ||
			to.all[0].Service != "web" || to.all[0].Kind != rhumb.EventBan {
			t.Fatalf("the events are %+v", to.all)
		}
		l.happen("shop", 200)
		l.happen("blog", 1)
		passes(5 * time.Second)
		texts := map[string]int{}
		for _, e := range to.all[2:] {
			texts[e.Stack]++
		}
		if last := to.all[len(to.all)-1]; texts["shop"] != newsSingly+1 || texts["blog"] != 1 ||
			last.Text != "195 more clients were banned; rhumb bans lists them" {
			t.Errorf("after many bans: %v, the last %+v", texts, last)
		}
		stop()
		before := len(to.all)
		defer runPart(t, n.run)() // as after a restart of the daemon
		passes(time.Minute)
		if len(to.all) != before {
			t.Errorf("announced again: %+v", to.all[before:])
		}
	})
}

func TestBansAreAnnouncedAfterTheProxyWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, to := &ledger{err: errors.New("away")}, &told{}
		defer runPart(t, (&banNews{l, to.announce, to.events, slog.New(slog.DiscardHandler)}).run)()
		passes(time.Minute)
		l.mu.Lock()
		l.err = nil
		l.mu.Unlock()
		l.happen("shop", 1)
		passes(2 * newsRetry)
		if len(to.all) != 1 {
			t.Errorf("the events are %+v", to.all)
		}
	})
}

func TestAddressesFromWhichRhumbIsUsedAreSpared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Hour) // so that the zero time isn't within the pause
		l := &ledger{}
		s := newSparing(l, slog.New(slog.DiscardHandler))
		defer runPart(t, s.run)()
		h := s.handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		ask := func(from string) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/stacks", nil)
			if from != "" {
				r.Header.Set(wire.HeaderFrom, from)
			}
			w := httptest.NewRecorder()
			if h.ServeHTTP(w, r); w.Code != http.StatusNoContent {
				t.Errorf("a request from %q is answered with %d", from, w.Code)
			}
			synctest.Wait()
		}
		for _, from := range []string{"", "203.0.113.7", "203.0.113.7", "nonsense", "2001:db8::7"} {
			ask(from)
		}
		if fmt.Sprint(l.spared) != "[203.0.113.7 2001:db8::7]" {
			t.Errorf("spared are %v", l.spared)
		}
		time.Sleep(sparedAgain)
		if ask("203.0.113.7"); len(l.spared) != 3 {
			t.Errorf("after a while: %v", l.spared)
		}
		l.err = errors.New("away")
		ask("203.0.113.9")
		l.err = nil
		if ask("203.0.113.9"); len(l.spared) != 4 {
			t.Errorf("after the proxy was away: %v", l.spared)
		}
	})
}
