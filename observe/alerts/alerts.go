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
	book   book
}

var _ rhumb.Alerts = (*Alerts)(nil)

// New reads the file. A file that can't be read is set aside, and the log has it. New starts nothing.
func New(d Deps) *Alerts {
	if d.Log == nil {
		d.Log = slog.Default()
	}
	return &Alerts{deps: d, book: book{standings: d.Standings, link: d.Link, log: d.Log, state: load(d.File, d.Log),
		failed: map[string]failing{}}}
}

// SetRules replaces the rules of a stack, also across restarts. A stack without rules of its own has rhumb's.
func (a *Alerts) SetRules(stack string, rules []rhumb.AlertRule) {
	rules = slices.Clone(rules[:min(len(rules), maxRules)])
	for i := range rules {
		rules[i].Stack = stack
	}
	a.mu.Lock()
	was, known := a.book.state.Rules[stack]
	switch {
	case slices.Equal(was, rules):
		a.mu.Unlock()
		return
	case len(rules) == 0:
		delete(a.book.state.Rules, stack)
	case !known && len(a.book.state.Rules) >= maxStacks:
		a.deps.Log.Error("too many stacks have rules of their own", "stack", stack)
	default:
		a.book.state.Rules[stack] = rules
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
	messages, changed := a.book.turn(rules, fresh, results, now)
	firing, ended := a.book.current(now)
	a.mu.Unlock()
	if changed {
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
	for _, own := range a.book.state.Rules {
		rules = append(rules, own...)
	}
	slices.SortFunc(rules, compareRules)
	return newRuleSet(rules)
}
