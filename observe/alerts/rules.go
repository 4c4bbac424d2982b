package alerts

import (
	"cmp"

	"rhumb"
)

// scope is what a rule is about, with its name.
type scope struct{ name, stack, service string }

// ruleSet is all rules, and where they take the place of others.
type ruleSet struct {
	all    []rhumb.AlertRule
	scopes map[scope]bool
}

func newRuleSet(rules []rhumb.AlertRule) ruleSet {
	s := ruleSet{all: rules, scopes: make(map[scope]bool, len(rules))}
	for _, r := range rules {
		s.scopes[scope{r.Name, r.Stack, r.Service}] = true
	}
	return s
}

func compareRules(a, b rhumb.AlertRule) int {
	return cmp.Or(cmp.Compare(a.Stack, b.Stack), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Service, b.Service))
}

// keyOf returns the key of a rule.
func keyOf(r rhumb.AlertRule) string { return r.Stack + "/" + r.Service + "/" + r.Name }

// about reports whether a rule is about the series with these labels. A rule of a stack is about that stack only; a
// series without a stack belongs to the rule's. Where a narrower rule has the same name, that one is.
func (s ruleSet) about(r rhumb.AlertRule, labels map[string]string) bool {
	stack, service := labels["stack"], labels["service"]
	if r.Stack != "" && stack != "" && stack != r.Stack || r.Service != "" && service != "" && service != r.Service {
		return false
	}
	stack = cmp.Or(stack, r.Stack)
	if r.Service == "" && service != "" && s.scopes[scope{r.Name, stack, service}] {
		return false
	}
	return r.Stack != "" || stack == "" || !s.scopes[scope{r.Name, stack, ""}]
}
