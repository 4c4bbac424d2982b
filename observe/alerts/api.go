package alerts

import (
	"cmp"
	"context"
	"crypto/rand"
	"slices"
	"strings"
	"time"

	"rhumb"
	"rhumb/observe"
)

// Alerts implements rhumb.Alerts.
func (a *Alerts) Alerts(_ context.Context, stack string) ([]rhumb.Alert, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := []rhumb.Alert{}
	for _, rec := range a.book.state.Alerts {
		if stack == "" || rec.Stack == stack {
			all = append(all, rec.Alert)
		}
	}
	slices.SortFunc(all, func(x, y rhumb.Alert) int {
		return cmp.Or(y.Since.Compare(x.Since), cmp.Compare(x.Rule, y.Rule), cmp.Compare(x.ID, y.ID))
	})
	return all, nil
}

// AlertRules implements rhumb.Alerts.
func (a *Alerts) AlertRules(context.Context) ([]rhumb.AlertRule, error) { return a.ruleSet().all, nil }

// TestAlert implements rhumb.Alerts.
func (a *Alerts) TestAlert(ctx context.Context) ([]rhumb.AlertReceiver, error) {
	return a.deps.Notify.Test(ctx), nil
}

// AlertReceivers implements rhumb.Alerts.
func (a *Alerts) AlertReceivers(context.Context) ([]rhumb.AlertReceiver, error) {
	return a.deps.Notify.Receivers(), nil
}

// Silences implements rhumb.Alerts.
func (a *Alerts) Silences(context.Context) ([]rhumb.Silence, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	live := []rhumb.Silence{}
	for _, s := range a.book.state.Silences {
		if s.Until.After(time.Now()) {
			live = append(live, s)
		}
	}
	return live, nil
}

const (
	longestSilence = 366 * 24 * time.Hour
	maxWhy         = 500 // bytes
	maxName        = 256 // bytes
)

// Silence implements rhumb.Alerts. Invalid is also returned if the silence is longer than a year, or if there are too
// many.
func (a *Alerts) Silence(_ context.Context, s rhumb.Silence) (rhumb.Silence, error) {
	now := time.Now()
	const hint = "write it as rhumb alerts silence --rule HighLatency --stack shop 2h"
	switch {
	case s.Rule == "" && s.Stack == "" && s.Service == "":
		return s, rhumb.Errorf(rhumb.Invalid, "the silence matches all alerts").WithHint(hint)
	case s.Until.IsZero():
		return s, rhumb.Errorf(rhumb.Invalid, "the silence has no end").WithHint(hint)
	case !s.Until.After(now):
		return s, rhumb.Errorf(rhumb.Invalid, "the silence has ended already").WithHint("choose a time that is to come")
	case s.Until.Sub(now) > longestSilence:
		return s, rhumb.Errorf(rhumb.Invalid, "the silence is longer than a year").
			WithHint("turn the rule off in the Compose file: x-rhumb: {alerts: {NAME: off}}")
	case max(len(s.Rule), len(s.Stack), len(s.Service), len(s.By)) > maxName || len(s.Why) > maxWhy:
		return s, rhumb.Errorf(rhumb.Invalid, "the silence has a text that is too long").
			WithHint("a reason may have %d bytes, a name %d", maxWhy, maxName)
	}
	s.ID, s.Made = strings.ToLower(rand.Text()[:8]), now
	a.mu.Lock()
	if len(a.book.state.Silences) >= maxSilences {
		a.mu.Unlock()
		return s, rhumb.Errorf(rhumb.Invalid, "there are %d silences already", maxSilences).
			WithHint("remove some; rhumb alerts silences lists them")
	}
	a.book.state.Silences = append(a.book.state.Silences, s)
	a.book.mark(now)
	a.mu.Unlock()
	return s, a.save()
}

// RemoveSilence implements rhumb.Alerts.
func (a *Alerts) RemoveSilence(_ context.Context, id string) error {
	a.mu.Lock()
	i := slices.IndexFunc(a.book.state.Silences, func(s rhumb.Silence) bool { return s.ID == id })
	if i < 0 {
		a.mu.Unlock()
		return rhumb.Errorf(rhumb.NotFound, "there is no silence %s", observe.OneLine(id, 20)).
			WithHint("rhumb alerts silences lists them")
	}
	a.book.state.Silences = slices.Delete(a.book.state.Silences, i, i+1)
	a.book.mark(time.Now())
	a.mu.Unlock()
	return a.save()
}
