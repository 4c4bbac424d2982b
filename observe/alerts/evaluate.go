package alerts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/internal/alertrule"
	"rhumb/observe"
)

const (
	staleAfter  = time.Minute // samples that are older say nothing about now
	reportAfter = 5 * time.Minute
)

// heartbeat is the age of the newest sample of a series that is always there, in seconds.
const heartbeat = `time() - max(timestamp(rhumb_node_cpus))`

// result is what came of a rule: where its condition holds, or an error.
type result struct {
	rule  rhumb.AlertRule
	holds []holding
	err   error
}

// holding is one series for which a rule's condition holds.
type holding struct {
	id     string
	labels map[string]string
	value  float64
}

// fresh reports whether there are samples of the last minute. Without them each condition seems not to hold.
func (a *Alerts) fresh(ctx context.Context, now time.Time) bool {
	series, err := a.query(ctx, heartbeat, now)
	return err == nil && len(series) == 1 && len(series[0].Points) == 1 &&
		series[0].Points[0].Value <= staleAfter.Seconds()
}

func (a *Alerts) query(ctx context.Context, expr string, now time.Time) ([]rhumb.Series, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTime)
	defer cancel()
	return a.deps.Metrics.Query(ctx, rhumb.MetricQuery{Expr: expr, Until: now})
}

// evaluate asks for the series for which the rules' conditions hold.
func (a *Alerts) evaluate(ctx context.Context, rules ruleSet, now time.Time) []result {
	var results []result
	for _, r := range rules.all {
		if r.Off {
			continue
		}
		series, err := a.query(ctx, r.Expr, now)
		if ctx.Err() != nil {
			return nil
		}
		res := result{rule: r, err: err}
		for _, s := range series {
			if len(res.holds) == maxOfRule {
				break
			}
			labels := maps.Clone(s.Labels)
			delete(labels, "__name__")
			if len(s.Points) > 0 && rules.about(r, labels) {
				res.holds = append(res.holds, holdingOf(r, labels, s.Points[len(s.Points)-1].Value))
			}
		}
		results = append(results, res)
	}
	return results
}

// holdingOf returns where a rule's condition holds. Its ID is always the same for the same rule and labels.
func holdingOf(r rhumb.AlertRule, labels map[string]string, value float64) holding {
	h := sha256.New()
	for _, part := range []string{r.Name, r.Stack, r.Service} {
		h.Write([]byte(strconv.Quote(part)))
	}
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		h.Write([]byte(strconv.Quote(name) + strconv.Quote(labels[name])))
	}
	return holding{id: hex.EncodeToString(h.Sum(nil)[:8]), labels: labels, value: value}
}

// textOf returns what is wrong, in words. Labels may come from applications: what could control a terminal or break a
// line is left out.
func textOf(r rhumb.AlertRule, labels map[string]string, value float64) string {
	text := r.Text
	if text == "" {
		text = r.Name + ": {{value}}"
	}
	filled := alertrule.Fill(text, func(name string) string {
		if v, ok := labels[name]; ok || name != "value" {
			return v
		}
		return number(value)
	})
	return observe.OneLine(filled, maxText)
}

// maxText is the longest text of an alert, in runes.
const maxText = 500

// number returns a value with about three digits.
func number(v float64) string {
	digits := 2
	switch {
	case v >= 100 || v <= -100:
		digits = 0
	case v >= 10 || v <= -10:
		digits = 1
	}
	s := strconv.FormatFloat(v, 'f', digits, 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
