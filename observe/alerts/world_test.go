package alerts

import (
	"context"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/observe/notify"
)

// world is what the evaluator sees in tests, and what it does. Its methods are for one goroutine beside the
// evaluator's.
type world struct {
	t    *testing.T
	file string

	mu       sync.Mutex
	series   map[string][]rhumb.Series // by expression
	errs     map[string]error          // by expression
	stopped  bool                      // nothing is measured
	stacks   map[string]rhumb.StackInfo
	looked   time.Duration // how long ago the daemon said so
	messages []notify.Message
	firing   []rhumb.Alert
}

func newWorld(t *testing.T) *world {
	return &world{t: t, file: filepath.Join(t.TempDir(), "alerts.json"), series: map[string][]rhumb.Series{},
		errs: map[string]error{}, stacks: map[string]rhumb.StackInfo{}}
}

func (w *world) Query(_ context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.stopped:
		return nil, rhumb.Errorf(rhumb.Unavailable, "away")
	case q.Expr == heartbeat:
		return []rhumb.Series{{Points: []rhumb.Point{{Time: q.Until, Value: 2}}}}, nil
	}
	return w.series[q.Expr], w.errs[q.Expr]
}

func (w *world) Stack(name string) (rhumb.StackInfo, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	info, ok := w.stacks[name]
	if !ok {
		return info, time.Time{}
	}
	return info, time.Now().Add(-w.looked)
}

func (w *world) All() []rhumb.StackInfo { return nil }

func (w *world) Notify(m notify.Message) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.messages = append(w.messages, m)
}

func (w *world) Current(firing, _ []rhumb.Alert) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.firing = firing
}

func (w *world) Test(context.Context) []rhumb.AlertReceiver { return nil }

func (w *world) Receivers() []rhumb.AlertReceiver { return nil }

// holds has the condition of an expression hold for some series: each is "NAME=VALUE NAME=VALUE".
func (w *world) holds(expr string, series ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.series[expr] = nil
	for _, text := range series {
		s := rhumb.Series{Labels: map[string]string{"__name__": "x"}, Points: []rhumb.Point{{Value: 7}}}
		for pair := range strings.FieldsSeq(text) {
			name, value, _ := strings.Cut(pair, "=")
			s.Labels[name] = value
		}
		w.series[expr] = append(w.series[expr], s)
	}
}

func (w *world) fails(expr string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs[expr] = err
}

func (w *world) measures(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = !yes
}

func (w *world) deployment(stack string, d *rhumb.Deployment) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stacks[stack] = rhumb.StackInfo{Name: stack, Release: 42, Deployment: d}
}

// run evaluates until stop is called.
func (w *world) run() (a *Alerts, stop func()) {
	a = New(Deps{Metrics: w, Standings: w, Notify: w, File: w.file, Link: "http://127.0.0.1:1",
		Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = a.Run(ctx)
	}()
	return a, func() {
		cancel()
		<-done
	}
}

// passes waits in simulated time.
func (w *world) passes(d time.Duration) { time.Sleep(d) }

// take returns the messages since the last call, each as "KIND STACK: NEW | FIRING | RESOLVED" in the names of rules.
func (w *world) take() []string {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var texts []string
	for _, m := range w.messages {
		names := func(alerts []rhumb.Alert) string {
			var list []string
			for _, a := range alerts {
				list = append(list, a.Rule)
			}
			slices.Sort(list)
			return strings.Join(list, ",")
		}
		texts = append(texts, string(m.Kind)+" "+m.Stack+": "+names(m.New)+" | "+names(m.Firing)+" | "+names(m.Resolved))
	}
	w.messages = nil
	return texts
}

// expect fails unless these were the messages since the last call.
func (w *world) expect(when string, want ...string) {
	w.t.Helper()
	if got := w.take(); !slices.Equal(got, want) {
		w.t.Errorf("%s: the messages are\n%s, want\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// bubble runs a test in simulated time, with an evaluator that has been running for ten minutes.
func bubble(t *testing.T, test func(w *world, a *Alerts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, stop := w.run()
		defer stop()
		w.passes(10*time.Minute + time.Second)
		test(w, a)
	})
}

// rule is a rule of the stack shop.
func rule(name string, wait time.Duration) rhumb.AlertRule {
	return rhumb.AlertRule{Name: name, Expr: name, For: wait, Severity: rhumb.SeverityWarning,
		Text: name + " of {{service}}"}
}
