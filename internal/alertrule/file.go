package alertrule

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"rhumb"
)

// placeholder matches {{value}} and {{LABEL}} in the text of a rule.
var placeholder = regexp.MustCompile(`\{\{ ?([a-zA-Z_][a-zA-Z0-9_]*) ?\}\}`)

// Fill returns the text of a rule with its placeholders replaced by what of returns.
func Fill(text string, of func(name string) string) string {
	return placeholder.ReplaceAllStringFunc(text, func(m string) string {
		return of(placeholder.FindStringSubmatch(m)[1])
	})
}

// PrometheusFile returns the rules that aren't off as a rule file of Prometheus.
func PrometheusFile(rules []rhumb.AlertRule) []byte {
	var b strings.Builder
	b.WriteString("groups:\n- name: rhumb\n  interval: 15s\n  rules:\n")
	for _, r := range rules {
		if r.Off {
			continue
		}
		fmt.Fprintf(&b, "  - alert: %s\n    expr: %s\n", r.Name, strconv.Quote(r.Expr))
		if r.For > 0 {
			fmt.Fprintf(&b, "    for: %s\n", spanOf(r.For))
		}
		if r.Keep > 0 {
			fmt.Fprintf(&b, "    keep_firing_for: %s\n", spanOf(r.Keep))
		}
		fmt.Fprintf(&b, "    labels: {severity: %s}\n", r.Severity)
		text := Fill(r.Text, func(name string) string {
			if name == "value" {
				return `{{ printf "%.3g" $value }}`
			}
			return "{{ $labels." + name + " }}"
		})
		fmt.Fprintf(&b, "    annotations: {summary: %s}\n", strconv.Quote(text))
	}
	return []byte(b.String())
}
