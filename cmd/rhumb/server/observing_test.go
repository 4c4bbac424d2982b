package server

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// askedTaken is a process that takes what stacks ask for. With hangs it takes none and doesn't answer.
type askedTaken struct {
	mu sync.Mutex
	taken
}

type taken struct {
	fails int // so many more times it fails
	hangs bool
	asked int
	all   map[string]rhumb.Observing // the last that it took
}

func (p *askedTaken) take(ctx context.Context, all map[string]rhumb.Observing) error {
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
func (p *askedTaken) now() taken {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.taken
}

// set replaces the state.
func (p *askedTaken) set(s taken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken = s
}

// sending starts a sender that sends to p until the test ends. Its log is in text.
func sending(t *testing.T) (k *observing, p *askedTaken, text *bytes.Buffer) {
	p, text = &askedTaken{}, &bytes.Buffer{}
	k = newObserving(Config{Observe: "off"}, nil, slog.New(slog.NewTextHandler(text, nil)))
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
	short = rhumb.Observing{Logs: rhumb.LogLimits{Keep: time.Hour}}
	small = rhumb.Observing{Logs: rhumb.LogLimits{Size: 16 << 20}}
)

func TestWhatStacksAskForIsSentWhenItChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p, _ := sending(t)
		for i, step := range []struct {
			stack string
			asks  rhumb.Observing
			asked int
			want  map[string]rhumb.Observing
		}{
			{"shop", short, 1, map[string]rhumb.Observing{"shop": short}},
			{"shop", short, 1, map[string]rhumb.Observing{"shop": short}},
			{"blog", rhumb.Observing{}, 2, map[string]rhumb.Observing{"shop": short, "blog": {}}},
			{"shop", small, 3, map[string]rhumb.Observing{"shop": small, "blog": {}}},
		} {
			k.record(step.stack, step.asks)
			if s := p.now(); s.asked != step.asked || !reflect.DeepEqual(s.all, step.want) {
				t.Errorf("%d: asked %d times, has %v", i, s.asked, s.all)
			}
		}
		p.set(taken{})
		time.Sleep(observingEvery)
		if s := p.now(); s.asked != 1 || len(s.all) != 2 {
			t.Errorf("later: asked %d times, has %v", s.asked, s.all)
		}
	})
}

func TestWhatStacksAskForWaitsForAProcessThatIsAway(t *testing.T) {
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
		if all := p.now().all; !reflect.DeepEqual(all["shop"], small) || !reflect.DeepEqual(all["blog"], short) {
			t.Errorf("it has %v", all)
		}
		if n := strings.Count(text.String(), "what the stacks ask of observe not sent"); n != 1 {
			t.Errorf("the log has %q", text)
		}
	})
}

func TestAProcessThatHangsIsSentItLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, p, text := sending(t)
		p.set(taken{hangs: true})
		k.record("shop", short)
		time.Sleep(observingTime)
		p.set(taken{})
		time.Sleep(time.Second)
		if s := p.now(); s.asked != 1 || !reflect.DeepEqual(s.all["shop"], short) || text.Len() > 0 {
			t.Errorf("asked %d times, has %v; the log has %q", s.asked, s.all, text)
		}
	})
}

func TestWithoutAProcessThatObservesNothingIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newObserving(Config{Observe: "off"}, nil, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithTimeout(t.Context(), time.Hour)
		defer stop()
		k.record("shop", short)
		k.record("shop", small)
		if err := k.run(ctx); err != nil {
			t.Error(err)
		}
	})
}
