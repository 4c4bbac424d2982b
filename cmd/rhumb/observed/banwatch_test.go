package observed

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// reported is a proxy that keeps what is reported to it.
type reported struct {
	matches []rhumb.BanMatch
	calls   int
	fails   int // so many calls fail first
}

func (r *reported) report(_ context.Context, ms []rhumb.BanMatch) error {
	if r.calls++; r.calls <= r.fails {
		return errors.New("away")
	}
	r.matches = append(r.matches, ms...)
	return nil
}

// watching runs a watch until the test ends, in a bubble.
func watching(t *testing.T, r *reported) *banWatch {
	t.Helper()
	w := newBanWatch(r.report, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return w
}

// mailRules are rules of web about lines of mail.
func mailRules() rhumb.Observing {
	return rhumb.Observing{Bans: map[string]rhumb.Bans{"web": {On: []rhumb.BanRule{
		{Name: "rule 1", Log: "mail", Match: "failed from <client>", Count: 5, In: time.Minute},
		{Name: "rule 2", Log: "mail", Match: "(<client>", Count: 5, In: time.Minute}, // of a newer version, perhaps
	}}}}
}

// passes lets time pass, in a bubble.
func passes(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestLinesThatMatchAreReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reported{}
		w := watching(t, r)
		w.set("shop", mailRules())
		at := time.Now()
		line := func(stack, service, text string, kind rhumb.LineKind) rhumb.LogLine {
			return rhumb.LogLine{Time: at, Stack: stack, Service: service, Text: text, Kind: kind}
		}
		w.look([]rhumb.LogLine{
			line("shop", "mail", "failed from 203.0.113.7", rhumb.LineOutput),
			line("shop", "mail", "failed from 203.0.113.8", rhumb.LineAccess),
			line("shop", "web", "failed from 203.0.113.9", rhumb.LineOutput),
			line("blog", "mail", "failed from 203.0.113.10", rhumb.LineOutput),
			line("shop", "mail", "failed from nowhere", rhumb.LineOutput),
			line("shop", "mail", "failed from [2001:db8::7]:25", rhumb.LineOutput),
		})
		passes(time.Second)
		match := rhumb.BanMatch{Stack: "shop", Service: "web", Rule: "rule 1", At: at}
		want := []rhumb.BanMatch{match, match}
		want[0].Client, want[1].Client = netip.MustParseAddr("203.0.113.7"), netip.MustParseAddr("2001:db8::7")
		if !reflect.DeepEqual(r.matches, want) || r.calls != 1 {
			t.Errorf("in %d calls: %+v, want %+v", r.calls, r.matches, want)
		}
		w.set("shop", rhumb.Observing{})
		w.look([]rhumb.LogLine{line("shop", "mail", "failed from 203.0.113.7", rhumb.LineOutput)})
		passes(time.Second)
		if r.calls != 1 {
			t.Error("rules that are gone match")
		}
	})
}

func TestMatchesOutliveAProxyThatIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &reported{fails: 2}
		w := watching(t, r)
		w.set("shop", mailRules())
		lines := make([]rhumb.LogLine, 2*maxFound)
		for i := range lines {
			lines[i] = rhumb.LogLine{Stack: "shop", Service: "mail", Text: "failed from 203.0.113.7"}
		}
		w.look(lines) // which doesn't wait
		passes(time.Minute)
		if n := len(r.matches); n < maxFound || n > maxFound+maxReport {
			t.Errorf("%d of %d matches are reported, want %d", n, len(lines), maxFound)
		}
	})
}
