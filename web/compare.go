package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"

	"rhumb"
	"rhumb/web/chart"
)

// comparison is the figures of two releases side by side.
type comparison struct {
	Old, New int
	Rows     []comparedRow
	Close    string // the address of the page without it
	Few      bool   // one of them had too few requests to be judged by
}

// comparedRow is one figure of both releases.
type comparedRow struct {
	Name     string
	Old, New string
	Change   string // "+9 ms, +8%"
	Tone     string // "bad" if it became much worse, "ok" if much better
	Err      error
}

// measure is a figure of a release over a time: an expression as those of figureList, split by release.
type measure struct {
	name string
	unit chart.Unit
	expr string
	cost bool // less is better
}

const allBuckets = "sum by (le, release) (increase(rhumb_request_duration_seconds_bucket{$s}[$w]))"

var measures = []measure{
	{"Requests", chart.Number, "sum by (release) (increase(rhumb_requests_total{$s}[$w]))", false},
	{"Errors", chart.Ratio, "sum by (release) (increase(rhumb_request_errors_total{$s}[$w])) / " +
		"sum by (release) (increase(rhumb_requests_total{$s}[$w]))", true},
	{"p50", chart.Seconds, "histogram_quantile(0.5, " + allBuckets + ")", true},
	{"p95", chart.Seconds, "histogram_quantile(0.95, " + allBuckets + ")", true},
	{"CPU of a replica", chart.Number, "avg by (release) (rate(rhumb_replica_cpu_seconds_total{$s}[$w]))", true},
	{"Memory of a replica", chart.Bytes, "avg by (release) (avg_over_time(rhumb_replica_memory_bytes{$s}[$w]))", true},
}

// A difference has a colour from much on, if both releases had enough requests to be judged by.
const (
	much   = 0.25
	enough = 100
)

// comparing is a comparison whose answers are awaited.
type comparing struct {
	old, new int
	answers  []*answer[[]rhumb.Series]
}

// askComparison begins to measure two releases, which an address names as "41-42"; nil if it names none.
func askComparison(s *server, as *answers, pair, stack string, p period) *comparing {
	a, b, _ := strings.Cut(pair, "-")
	older, errA := strconv.Atoi(a)
	newer, errB := strconv.Atoi(b)
	if errA != nil || errB != nil || older < 1 || newer < 1 {
		return nil
	}
	c := &comparing{old: older, new: newer}
	for _, m := range measures {
		expr := figure{expr: m.expr}.filled(stack, "release", p.length())
		c.answers = append(c.answers, ask(as, func(ctx context.Context) ([]rhumb.Series, error) {
			return s.Metrics.Query(ctx, rhumb.MetricQuery{Expr: expr, Until: p.To})
		}))
	}
	return c
}

// compare sets the comparison that was asked for, or the address of the usual one: the release that serves with the
// one before it.
func (v *metricsView) compare(r *http.Request, c *comparing, current int) {
	if c == nil {
		newer, older := current, 0
		for _, n := range v.Releases {
			if newer == 0 {
				newer = n
			} else if n != newer && older == 0 {
				older = n
			}
		}
		if older > 0 {
			v.Compared = with(r, "compare", fmt.Sprintf("%d-%d", older, newer))
		}
		return
	}
	v.Compare = &comparison{Old: c.old, New: c.new, Close: with(r, "compare", "")}
	requests := lastBy("release", c.answers[0].Is)
	old, new := strconv.Itoa(c.old), strconv.Itoa(c.new)
	v.Compare.Few = min(requests[old], requests[new]) < enough
	for i, m := range measures {
		values := lastBy("release", c.answers[i].Is)
		row := m.row(values, old, new)
		row.Err = c.answers[i].Err
		if v.Compare.Few {
			row.Tone = ""
		}
		v.Compare.Rows = append(v.Compare.Rows, row)
	}
}

func (m measure) row(values map[string]float64, old, new string) comparedRow {
	row := comparedRow{Name: m.name, Old: "–", New: "–"}
	a, knownA := values[old]
	b, knownB := values[new]
	if knownA {
		row.Old = m.unit.Format(a)
	}
	if knownB {
		row.New = m.unit.Format(b)
	}
	if !knownA || !knownB || m.name == "Requests" {
		return row
	}
	row.Change = m.change(a, b)
	if m.cost {
		switch share := (b - a) / math.Max(math.Abs(a), 1e-12); {
		case share > much && !(m.unit == chart.Ratio && b-a < 0.005):
			row.Tone = "bad"
		case share < -much && !(m.unit == chart.Ratio && a-b < 0.005):
			row.Tone = "ok"
		}
	}
	return row
}

// change says how much more or less b is than a.
func (m measure) change(a, b float64) string {
	if a == b {
		return "the same"
	}
	text := unbroken(m.unit.Format(math.Abs(b - a)))
	if b < a {
		text = "−" + text
	} else {
		text = "+" + text
	}
	if m.unit != chart.Ratio && a > 0 {
		text += fmt.Sprintf(" (%+.0f%%)", 100*(b-a)/a)
	}
	return text
}

// unbroken returns a text in which no line ends between a number and its unit.
func unbroken(text string) string { return strings.ReplaceAll(text, " ", "\u00a0") }
