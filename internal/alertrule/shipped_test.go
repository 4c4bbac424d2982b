package alertrule

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rhumb"
)

func TestShippedRulesUseDocumentedSeries(t *testing.T) {
	doc, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rules := Shipped()
	for _, m := range measures {
		c := comparison{scope: Scope{Stack: "s"}, measure: &m, operator: ">", number: "1", unit: m.units[0], window: m.window}
		expr, text := m.rule(c)
		rules = append(rules, rhumb.AlertRule{Name: m.name, Expr: expr, Text: text, Severity: rhumb.SeverityWarning})
	}
	series := regexp.MustCompile(`rhumb_[a-z0-9_]+`)
	for _, r := range rules {
		names := series.FindAllString(r.Expr, -1)
		if len(names) == 0 || r.Text == "" || r.Severity == "" || CheckExpr(r.Expr) != nil {
			t.Errorf("%+v isn't complete", r)
		}
		for _, name := range names {
			name = strings.TrimSuffix(name, "_count") // the table has _bucket, and the other two in short
			if !strings.Contains(string(doc), "`"+name) {
				t.Errorf("%s: docs/metrics.md has no series %s", r.Name, name)
			}
		}
	}
}

func TestShippedRulesAreFoundByTheirUniqueNames(t *testing.T) {
	var names []string
	for _, r := range Shipped() {
		names = append(names, r.Name)
	}
	if !slices.IsSorted(names) || len(slices.Compact(slices.Clone(names))) != len(names) || len(names) < 15 {
		t.Errorf("the names are %v", names)
	}
	if r, ok := ShippedRule("DiskFull"); !ok || r.Name != "DiskFull" {
		t.Errorf("DiskFull is %+v", r)
	}
	if r, ok := ShippedRule("diskfull"); ok || slices.Contains(names, RuleFailed) {
		t.Errorf("found %+v", r)
	}
	of, web := NamesFor(Scope{Stack: "shop"}), NamesFor(Scope{Stack: "shop", Service: "web"})
	if !slices.IsSorted(of) || len(of) != len(web)+1 || slices.Contains(of, "DiskFull") ||
		!slices.Contains(web, "Unhealthy") {
		t.Errorf("a stack can change %v, a service %v", of, web)
	}
}

func TestPlaceholdersAreFilled(t *testing.T) {
	of := func(name string) string { return "<" + name + ">" }
	for text, want := range map[string]string{
		"{{service}} is at {{ value }}%": "<service> is at <value>%",
		"{{a b}} {{}} {x} {{{y}}}":       "{{a b}} {{}} {x} {<y>}",
	} {
		if got := Fill(text, of); got != want {
			t.Errorf("%s is %s, want %s", text, got, want)
		}
	}
}
