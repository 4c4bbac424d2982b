package server

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// limitsTaken is a process that takes limits. With hangs it takes none and doesn't answer.
type limitsTaken struct {
	mu sync.Mutex
	taken
}

type taken struct {
	fails int // so many more times it fails
	hangs bool
	asked int
	all   map[string]rhumb.LogLimits // the last that it took
}

func (p *limitsTaken) take(ctx context.Context, all map[string]rhumb.LogLimits) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	switch {
	case p.hangs:
		p.mu.Unlock()
		<-ctx.Done()
		p.mu.Lock()
		return ctx.Err()
	case p.fails > 0:
		p.fails--
		return rhumb.Errorf(rhumb.Unavailable, "it is away")
	}
	p.all = all
	return nil
}

// now returns the state after everything else in the bubble has come to rest.
func (p *limitsTaken) now() taken {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// set replaces the state.
func (p *limitsTaken) set(s taken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = s
}

// sending starts a sender that sends to p until the test ends. Its log is in text.
func sending(t *testing.T) (k *logLimits, p *limitsTaken, text *bytes.Buffer) {
	p, text = &limitsTaken{}, &bytes.Buffer{}
	k = newLogLimits(Config{Observe: "off"}, nil, slog.New(slog.NewTextHandler(text, nil)))
	k.send = p.take
	done := make(chan error, 1)
	go func() { done <- k.run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return k, p, text
}

var (
	short = rhumb.LogLimits{Keep: time.Hour}
	small = rhumb.LogLimits{Size: 16 << 20}
)

func TestLimitsOfLogsAreSentWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p, _ := sending(t)
		for i, step := range []struct {
			stack  string
			limits rhumb.LogLimits
			asked  int
			want   map[string]rhumb.LogLimits
		}{
			{"shop", short, 1, map[string]rhumb.LogLimits{"shop": short}},
			{"shop", short, 1, map[string]rhumb.LogLimits{"shop": short}},
			{"blog", rhumb.LogLimits{}, 2, map[string]rhumb.LogLimits{"shop": short, "blog": {}}},
			{"shop", small, 3, map[string]rhumb.LogLimits{"shop": small, "blog": {}}},
		} {
			k.record(step.stack, step.limits)
			if s := p.now(); s.asked != step.asked || !maps.Equal(s.all, step.want) {
				t.Errorf("%d: asked %d times, has %v", i, s.asked, s.all)
			}
		}
		p.set(taken{})
		time.Sleep(limitsEvery)
		if s := p.now(); s.asked != 1 || len(s.all) != 2 {
			t.Errorf("later: asked %d times, has %v", s.asked, s.all)
		}
	})
}

func TestLimitsWaitForAProcessThatIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p, text := sending(t)
		p.set(taken{fails: 10})
		began := time.Now()
		k.record("shop", short)
		synctest.Wait()
		k.record("shop", small) // meanwhile
		k.record("blog", short)
		for p.now().all == nil && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		// 1 + 2 + 4 + 8 + 16 + 32 seconds, then a minute each
		if took := time.Since(began); took != 63*time.Second+4*time.Minute {
			t.Errorf("they arrived after %s", took)
		}
		if all := p.now().all; all["shop"] != small || all["blog"] != short {
			t.Errorf("it has %v", all)
		}
		if n := strings.Count(text.String(), "limits of logs not sent"); n != 1 {
			t.Errorf("the log has %q", text)
		}
	})
}

func TestAProcessThatHangsIsSentTheLimitsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p, text := sending(t)
		p.set(taken{hangs: true})
		k.record("shop", short)
		time.Sleep(limitsTime)
		p.set(taken{})
		time.Sleep(time.Second)
		if s := p.now(); s.asked != 1 || s.all["shop"] != short || text.Len() > 0 {
			t.Errorf("asked %d times, has %v; the log has %q", s.asked, s.all, text)
		}
	})
}

func TestWithoutKeptLogsNoLimitsAreSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newLogLimits(Config{Observe: "off"}, nil, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		k.record("shop", short)
		k.record("shop", small)
		if err := k.run(ctx); err != nil {
			t.Error(err)
		}
	})
}
