package web

import (
	"bufio"
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// streamOf opens a stream of a real server, and returns what reads the names of its messages.
func streamOf(t *testing.T, s *server, base, path string) (next func() string, status int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(s.gate.newCookie(false))
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	lines := bufio.NewScanner(resp.Body)
	return func() string {
		for lines.Scan() {
			if name, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				return name
			}
		}
		return "the end"
	}, resp.StatusCode
}

func TestAnEventReachesTheBrowser(t *testing.T) {
	w := shopWorld()
	s := w.server()
	site := httptest.NewServer(s.handler())
	t.Cleanup(site.Close)
	next, status := streamOf(t, s, site.URL, "/live?stack=shop&every=300")
	if got := next(); status != 200 || got != "hello" {
		t.Fatalf("%d, and %q first", status, got)
	}
	w.change(func() {
		w.events = append(w.events, rhumb.Event{ID: 999, At: noon.Add(time.Minute), Kind: rhumb.EventReady, Stack: "shop"})
	})
	if got := next(); got != "changed" {
		t.Errorf("%q after an event, want changed", got)
	}
}

func TestStreamsHaveALimit(t *testing.T) {
	s := shopWorld().server()
	for range maxStreams {
		s.streams <- struct{}{}
	}
	rec := get(t, s, "/live")
	if rec.Code != http.StatusServiceUnavailable || rec.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	<-s.streams
}

func TestAStreamTicksAndOutlivesTheDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		s := newServer(w.deps(), time.Now)
		r := httptest.NewRequest(http.MethodGet, "/live?every=10", nil)
		ctx, cancel := context.WithCancel(t.Context())
		sent := make(chan string, 100)
		done := make(chan error, 1)
		go func() {
			done <- changes(s, r.WithContext(ctx), func(event string, _ any) error { sent <- event; return nil })
		}()
		time.Sleep(31 * time.Second)
		if n := len(sent); n != 3 {
			t.Errorf("%d messages in 31 s, want 3", n)
		}
		w.change(func() { w.down = daemonAway })
		time.Sleep(time.Second)
		if n := len(sent); n != 4 {
			t.Errorf("%d messages once the daemon was away, want 4", n)
		}
		time.Sleep(2 * time.Minute)
		w.change(func() { w.down = nil })
		time.Sleep(16 * time.Second) // the longest wait before it tries again
		for len(sent) > 0 {
			<-sent
		}
		w.change(func() {
			w.events = append(w.events, rhumb.Event{ID: 1000, At: time.Now().Add(time.Hour), Kind: rhumb.EventReady})
		})
		synctest.Wait()
		if len(sent) != 1 {
			t.Errorf("%d messages upon an event after the daemon came back, want 1", len(sent))
		}
		cancel()
		<-done
	})
}

func TestAStreamEndsWhenItsBrowserHasLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(shopWorld().deps(), time.Now)
		r := httptest.NewRequest(http.MethodGet, "/live?every=2", nil).WithContext(t.Context())
		if err := changes(s, r, func(string, any) error { return context.Canceled }); err == nil {
			t.Error("no error")
		}
	})
}

func TestOnlyAFewPagesAreMadeAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopWorld().server()
		for range maxRenders {
			s.renders <- struct{}{}
		}
		if rec := get(t, s, "/stacks"); rec.Code != http.StatusGatewayTimeout {
			t.Errorf("%d, want 504", rec.Code)
		}
	})
}

func TestASlowDaemonCostsAPageItsPartOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := shopWorld()
		d := w.deps()
		d.Stacks = slowStacks{w}
		s := newServer(d, time.Now)
		contains(t, get(t, s, "/stacks"), 200, "The daemon doesn't answer", "no answer within 6s", `href="/stacks/shop"`)
	})
}

// slowStacks is a world whose stacks never come before the caller gives up.
type slowStacks struct{ *world }

func (slowStacks) Stacks(ctx context.Context) ([]rhumb.StackInfo, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}
