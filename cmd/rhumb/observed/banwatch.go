package observed

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/internal/banrule"
	"rhumb/internal/pause"
	"rhumb/observe"
)

// banWatch finds the lines that rules of bans are about, and reports them to the proxy, which counts them.
type banWatch struct {
	report func(context.Context, []rhumb.BanMatch) error
	log    *slog.Logger
	rules  atomic.Pointer[map[[2]string][]lineRule] // by stack and service of the lines; nil: there are none
	found  chan rhumb.BanMatch

	mu    sync.Mutex
	asked map[string]map[string]rhumb.Bans // by stack and service
}

// lineRule is a rule of a service about lines.
type lineRule struct {
	service, name string // whose rule it is
	line          *banrule.Line
}

const (
	maxFound    = 4096 // matches that wait; further ones are lost
	maxReport   = 500
	reportPause = 50 * time.Millisecond // in which matches are gathered
	reportTime  = 5 * time.Second
	reportTries = 3
)

func newBanWatch(report func(context.Context, []rhumb.BanMatch) error, log *slog.Logger) *banWatch {
	return &banWatch{report: report, log: log, found: make(chan rhumb.BanMatch, maxFound),
		asked: map[string]map[string]rhumb.Bans{}}
}

// set takes what a stack asks for.
func (w *banWatch) set(stack string, o rhumb.Observing) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked[stack] = o.Bans
	if len(o.Bans) == 0 {
		delete(w.asked, stack)
	}
	rules := map[[2]string][]lineRule{}
	for stack, services := range w.asked {
		for service, b := range services {
			for _, r := range b.On {
				line, err := banrule.CompileLine(r.Match)
				if err != nil {
					w.log.Error("rule of bans can't be used", "stack", stack, "service", service, "rule", r.Name, "err", err)
					continue
				}
				of := [2]string{stack, r.Log}
				rules[of] = append(rules[of], lineRule{service, r.Name, line})
			}
		}
	}
	if len(rules) == 0 {
		w.rules.Store(nil)
		return
	}
	w.rules.Store(&rules)
}

// look looks for matches in lines. It doesn't wait for the proxy.
func (w *banWatch) look(lines []rhumb.LogLine) {
	rules := w.rules.Load()
	if rules == nil {
		return
	}
	for i := range lines {
		l := &lines[i]
		if l.Kind != rhumb.LineOutput {
			continue
		}
		for _, r := range (*rules)[[2]string{l.Stack, l.Service}] {
			client, ok := r.line.Find(l.Text)
			if !ok {
				continue
			}
			select {
			case w.found <- rhumb.BanMatch{Stack: l.Stack, Service: r.service, Rule: r.name, Client: client, At: l.Time}:
			default: // so many at a time are enough for each of them to be banned
			}
		}
	}
}

// watching returns the sink with its lines looked at.
func (w *banWatch) watching(to observe.Sink) observe.Sink { return watchedSink{to, w} }

// watchedSink is a sink whose lines are looked at.
type watchedSink struct {
	observe.Sink
	watch *banWatch
}

func (s watchedSink) Append(ctx context.Context, lines []rhumb.LogLine) (int, error) {
	n, err := s.Sink.Append(ctx, lines)
	s.watch.look(lines[:n])
	return n, err
}

// run reports matches until ctx ends.
func (w *banWatch) run(ctx context.Context) error {
	for {
		var batch []rhumb.BanMatch
		select {
		case <-ctx.Done():
			return nil
		case m := <-w.found:
			batch = append(batch, m)
		}
		pause.For(ctx, reportPause)
		for len(w.found) > 0 && len(batch) < maxReport {
			batch = append(batch, <-w.found)
		}
		w.send(ctx, batch)
	}
}

// send reports a batch. A proxy that doesn't answer soon loses it.
func (w *banWatch) send(ctx context.Context, batch []rhumb.BanMatch) {
	var err error
	for range reportTries {
		limited, cancel := context.WithTimeout(ctx, reportTime)
		err = w.report(limited, batch)
		cancel()
		if err == nil || !pause.For(ctx, time.Second) {
			return
		}
	}
	w.log.Warn("lines that rules of bans are about not reported", "lines", len(batch), "err", err)
}
