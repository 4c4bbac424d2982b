package alerts

import (
	"log/slog"
	"maps"
	"slices"
	"time"

	"rhumb"
	"rhumb/internal/alertrule"
	"rhumb/observe"
	"rhumb/observe/notify"
)

// book is what is known of all alerts. It asks nothing and sends nothing: results come in, messages come out.
type book struct {
	standings observe.Standings
	link      string
	log       *slog.Logger

	state  state
	began  time.Time          // since when samples have been fresh without a gap; zero: they aren't
	blind  time.Time          // since when there have been no fresh samples; zero: there are
	failed map[string]failing // rules that can't be evaluated, by their key
	full   bool               // the log has that there are too many alerts
}

// failing is a rule that can't be evaluated.
type failing struct {
	rule  rhumb.AlertRule
	since time.Time
	err   error
}

// turn takes the results of an evaluation. It returns the messages that are due, and whether the state changed.
func (b *book) turn(rules ruleSet, fresh bool, results []result, now time.Time) (due []notify.Message, changed bool) {
	for _, r := range b.notice(rules, fresh, results, now) {
		changed = b.apply(r, now) || changed
	}
	if fresh {
		changed = b.resolveOrphans(rules, now) || changed
	}
	changed = b.forget(now) || changed
	b.mark(now)
	due = b.incidents(now)
	return due, changed || len(due) > 0
}

// notice records which rules can't be evaluated and whether there are samples. It returns the results with what comes
// of that; without fresh samples the results say nothing.
func (b *book) notice(rules ruleSet, fresh bool, results []result, now time.Time) []result {
	measuring := result{rule: rhumb.AlertRule{Name: alertrule.MeasuringStopped, Severity: rhumb.SeverityCritical,
		Text: "nothing is measured: no other alert can fire"}}
	if !fresh {
		if b.blind.IsZero() {
			b.blind = now
		}
		if now.Sub(b.blind) >= staleAfter {
			b.began = time.Time{} // what is missing at first afterwards isn't over
		}
		if now.Sub(b.blind) >= reportAfter {
			measuring.holds = []holding{holdingOf(measuring.rule, map[string]string{}, now.Sub(b.blind).Minutes())}
		}
		return []result{measuring}
	}
	b.blind = time.Time{}
	if b.began.IsZero() {
		b.began = now
	}
	maps.DeleteFunc(b.failed, func(key string, _ failing) bool {
		return !slices.ContainsFunc(rules.all, func(r rhumb.AlertRule) bool { return keyOf(r) == key && !r.Off })
	})
	return append(results, measuring, b.failures(results, now))
}

// failures records the rules that can't be evaluated, and returns those that people must know of: at once if the
// expression is wrong, after a while if it is something else.
func (b *book) failures(results []result, now time.Time) result {
	failed := result{rule: rhumb.AlertRule{Name: alertrule.RuleFailed, Severity: rhumb.SeverityWarning,
		Keep: time.Minute, Text: "the rule {{rule}}{{at}} can't be evaluated: {{error}}"}}
	for _, r := range results {
		key := keyOf(r.rule)
		if r.err == nil {
			delete(b.failed, key)
			continue
		}
		f, ok := b.failed[key]
		if !ok {
			f.since = now
			b.log.Warn("rule not evaluated", "rule", r.rule.Name, "stack", r.rule.Stack, "err", r.err)
		}
		f.rule, f.err = r.rule, r.err
		b.failed[key] = f
		if rhumb.ErrorCode(r.err) == rhumb.Invalid || now.Sub(f.since) >= reportAfter {
			failed.holds = append(failed.holds, f.holding(failed.rule, now))
		}
	}
	failed.holds = failed.holds[:min(len(failed.holds), maxOfRule)]
	return failed
}

// holding returns the alert about the rule. What its text says besides isn't part of its identity.
func (f failing) holding(as rhumb.AlertRule, now time.Time) holding {
	labels := map[string]string{"rule": f.rule.Name}
	if f.rule.Stack != "" {
		labels["stack"] = f.rule.Stack
	}
	if f.rule.Service != "" {
		labels["service"] = f.rule.Service
	}
	h := holdingOf(as, labels, now.Sub(f.since).Minutes())
	h.labels = maps.Clone(labels)
	h.labels["error"] = f.err.Error()
	if f.rule.At != "" {
		h.labels["at"] = " (" + f.rule.At + ")"
	}
	return h
}
