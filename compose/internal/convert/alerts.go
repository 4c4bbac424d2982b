package convert

import (
	"cmp"
	"slices"

	"rhumb"
	"rhumb/compose/internal/keys"
)

// alertsOf returns the rules of the stack and those of its services with the places where they are written, sorted by
// name.
func alertsOf(c *converter, ofStack []rhumb.AlertRule) []rhumb.AlertRule {
	rules := slices.Clone(ofStack)
	for _, name := range c.project.ServiceNames() {
		rules = append(rules, c.extras[name].Alerts...)
	}
	for i, r := range rules {
		path := keys.Extension + ".alerts." + r.Name
		if r.Service != "" {
			path = "services." + r.Service + "." + path
		}
		rules[i].At = c.lines.Find(path)
	}
	slices.SortStableFunc(rules,
		func(a, b rhumb.AlertRule) int {
			return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Service, b.Service))
		})
	return rules
}
