package alertrule

import (
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// total returns the expression of how much a counter of a service has grown. sel is empty, or the selector's braces.
func total(counter, sel, window string) string {
	return "sum by (stack, service) (increase(" + counter + sel + "[" + window + "]))"
}

// errorRatio returns the expression of the share of failed requests in the last five minutes, in percent.
func errorRatio(sel string) string {
	return "100 * " + total("rhumb_request_errors_total", sel, "5m") + " / " + total("rhumb_requests_total", sel, "5m")
}

// quantile returns the expression of a quantile of the time until an answer in the last five minutes, in seconds.
func quantile(q, sel string) string {
	return "histogram_quantile(" + q + ", sum by (stack, service, le) (increase(rhumb_request_duration_seconds_bucket" +
		sel + "[5m])))"
}

// grown returns the expression of how much a counter that appears with its first count has grown. increase alone
// doesn't see that count.
func grown(selector, window string) string {
	return "sum by (stack, service) ((" + selector + " unless " + selector + " offset " + window + ") or increase(" +
		selector + "[" + window + "]))"
}

// selector returns the braces of a selector for a stack, or for one of its services.
func (s Scope) selector(more ...string) string {
	matchers := []string{"stack=" + strconv.Quote(s.Stack)}
	if s.Service != "" {
		matchers = append(matchers, "service="+strconv.Quote(s.Service))
	}
	return "{" + strings.Join(append(matchers, more...), ",") + "}"
}

// spanOf returns a duration of whole seconds as PromQL and people write it: "1h30m".
func spanOf(d time.Duration) string {
	s := d.String()
	if d >= time.Minute && d%time.Minute == 0 {
		s = strings.TrimSuffix(s, "0s")
	}
	if d >= time.Hour && d%time.Hour == 0 {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// MaxExpr is the longest expression of a rule, in bytes.
const MaxExpr = 4096

// CheckExpr finds the mistakes in a PromQL expression that need no parser: brackets and quotes without their other
// half. The process that evaluates the rules knows the language. Its errors are Invalid, with the column.
func CheckExpr(expr string) error {
	wrong := func(at int, hint, format string, args ...any) error {
		column := len([]rune(expr[:at])) + 1
		return rhumb.Errorf(rhumb.Invalid, "column "+strconv.Itoa(column)+": "+format, args...).WithHint("%s", hint)
	}
	if strings.TrimSpace(expr) == "" {
		return wrong(0, "write it as rhumb_service_replicas_ready < 2", "the expression is empty")
	}
	if len(expr) > MaxExpr {
		return wrong(0, "split it into several alerts", "the expression is longer than %d bytes", MaxExpr)
	}
	closing := map[byte]byte{'(': ')', '[': ']', '{': '}'}
	var open []int
	for i := 0; i < len(expr); i++ {
		switch c := expr[i]; c {
		case '"', '\'', '`':
			end := quoted(expr, i)
			if end < 0 {
				return wrong(i, "close it with "+string(c), "a quote isn't closed")
			}
			i = end
		case '(', '[', '{':
			open = append(open, i)
		case ')', ']', '}':
			if len(open) == 0 || closing[expr[open[len(open)-1]]] != c {
				return wrong(i, "remove it, or open it before", "%c closes nothing", c)
			}
			open = open[:len(open)-1]
		}
	}
	if len(open) > 0 {
		at := open[len(open)-1]
		return wrong(at, "close it with "+string(closing[expr[at]]), "%c isn't closed", expr[at])
	}
	return nil
}

// quoted returns the end of the string that begins at i, or -1.
func quoted(expr string, i int) int {
	for j := i + 1; j < len(expr); j++ {
		switch {
		case expr[j] == '\\' && expr[i] != '`':
			j++
		case expr[j] == expr[i]:
			return j
		}
	}
	return -1
}
