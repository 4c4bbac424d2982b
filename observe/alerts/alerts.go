// Package alerts evaluates rules about what is measured, and decides which messages people get about it: one when an
// incident begins and one when it is over. It keeps its state in a file. docs/alerts.md describes what users see.
package alerts

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/internal/alertrule"
	"rhumb/observe"
	"rhumb/observe/notify"
)

const (
	evaluateEvery = 15 * time.Second
	queryTime     = 5 * time.Second // within which a rule must be evaluated
	maxAlerts     = 1000            // alerts of all rules, also those that are over
	maxOfRule     = 100             // alerts of one rule
	maxSilences   = 500
	maxRules      = 2000 // of one stack
	maxStacks     = 1000 // with rules of their own
)

// Notifier sends messages and never blocks. notify.Sender is the real one.
type Notifier interface {
	// Notify has a message sent to all receivers.
	Notify(m notify.Message)
	// Current says which alerts fire now, and which ended a short time ago. It is called at every evaluation.
	Current(firing, ended []rhumb.Alert)
	// Test sends a test message to each receiver and returns how it went.
	Test(ctx context.Context) []rhumb.AlertReceiver
	// Receivers returns where messages are sent, and how the last attempt went.
	Receivers() []rhumb.AlertReceiver
}

// Deps are what Alerts needs. All but Link and Log must be set.
type Deps struct {
	Metrics   rhumb.Metrics
	Standings observe.Standings
	Notify    Notifier
	File      string // keeps rules, alerts and silences over restarts; its folder exists
	Link      string // the address of the dashboard, for messages; "": none
	Log       *slog.Logger
}

// Alerts evaluates the rules while Run runs. It implements rhumb.Alerts.
type Alerts struct {
	deps Deps

	saving sync.Mutex // held while the file is written: the state that is written last is the newest
	mu     sync.Mutex
	state  state
	began  time.Time          // since when samples have been fresh without a gap; zero: they aren't
	blind  time.Time          // since when there have been no fresh samples; zero: there are
	failed map[string]failing // rules that can't be evaluated, by their key
	full   bool               // the log has that there are too many alerts
}

var _ rhumb.Alerts = (*Alerts)(nil)

// failing is a rule that can't be evaluated.
type failing struct {
	rule  rhumb.AlertRule
	since time.Time
	err   error
}

// New reads the file. A file that can't be read is set aside, and the log has it. New starts nothing.
func New(d Deps) *Alerts {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return &Alerts{deps: d, state: load(d.File, d.Log), failed: map[string]failing{}}
}

// SetRules replaces the rules of a stack, also across restarts. A stack without rules of its own has rhumb's.
func (a *Alerts) SetRules(stack string, rules []rhumb.AlertRule) {
	rules = slices.Clone(rules[:min(len(rules), maxRules)])
	for i := range rules {
		rules[i].Stack = stack
	}
	a.mu.Lock()
	was, known := a.state.Rules[stack]
	switch {
	case slices.Equal(was, rules):
		a.mu.Unlock()
		return
	case len(rules) == 0:
		delete(a.state.Rules, stack)
	case !known && len(a.state.Rules) >= maxStacks:
		a.deps.Log.Error("too many stacks have rules of their own", "stack", stack)
	default:
		a.state.Rules[stack] = rules
	}
	a.mu.Unlock()
	_ = a.save() // the log has it, and the daemon sends the rules again
}

// Run evaluates the rules every 15 s until ctx ends.
func (a *Alerts) Run(ctx context.Context) error {
	tick := time.NewTicker(evaluateEvery)
	defer tick.Stop()
	for {
		a.turn(ctx, time.Now())
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// turn evaluates all rules once, and has the messages sent that are due.
func (a *Alerts) turn(ctx context.Context, now time.Time) {
	rules := a.ruleSet()
	fresh := a.fresh(ctx, now)
	var results []result
	if fresh {
		results = a.evaluate(ctx, rules, now)
	}
	if ctx.Err() != nil {
		return // what could not be asked says nothing
	}
	a.mu.Lock()
	changed := a.notice(rules, fresh, &results, now)
	for _, r := range results {
		changed = a.apply(r, now) || changed
	}
	if fresh {
		changed = a.resolveOrphans(rules, now) || changed
	}
	changed = a.forget(now) || changed
	a.mark(now)
	messages := a.incidents(now)
	firing, ended := a.current(now)
	a.mu.Unlock()
	if changed || len(messages) > 0 {
		_ = a.save() // the log has it; people must learn of the alerts anyway
	}
	for _, m := range messages {
		a.deps.Notify.Notify(m)
	}
	a.deps.Notify.Current(firing, ended)
}

// ruleSet returns rhumb's rules and those of the stacks, sorted by stack, name and service.
func (a *Alerts) ruleSet() ruleSet {
	rules := alertrule.Shipped()
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, own := range a.state.Rules {
		rules = append(rules, own...)
	}
	slices.SortFunc(rules, compareRules)
	return newRuleSet(rules)
}
