package diff

import (
	"slices"

	"rhumb"
)

// alertDiff says which alerts of the stack and of its services differ. A rule that was only moved in its file is the
// same. Those of a stack that goes down go with it.
func alertDiff(a, b *rhumb.Stack) []string {
	if b == nil {
		return nil
	}
	var was []rhumb.AlertRule
	if a != nil {
		was = a.Alerts
	}
	var what []string
	for _, r := range b.Alerts {
		switch i := slices.IndexFunc(was, func(o rhumb.AlertRule) bool { return sameAlert(o, r) }); {
		case i >= 0 && unplaced(was[i]) == unplaced(r):
		case r.Off:
			what = append(what, alertTitle(r)+" is off")
		case i < 0:
			what = append(what, alertTitle(r)+" added")
		default:
			what = append(what, alertTitle(r)+" changed")
		}
	}
	for _, o := range was {
		if !slices.ContainsFunc(b.Alerts, func(r rhumb.AlertRule) bool { return sameAlert(o, r) }) {
			what = append(what, alertTitle(o)+" removed")
		}
	}
	return what
}

// sameAlert reports whether two rules are of one name and service.
func sameAlert(a, b rhumb.AlertRule) bool { return a.Name == b.Name && a.Service == b.Service }

// unplaced returns the rule without its place in a file.
func unplaced(r rhumb.AlertRule) rhumb.AlertRule {
	r.At = ""
	return r
}

// alertTitle returns the words for a rule: "alert busy", "alert busy of web".
func alertTitle(r rhumb.AlertRule) string {
	if r.Service != "" {
		return "alert " + r.Name + " of " + r.Service
	}
	return "alert " + r.Name
}
