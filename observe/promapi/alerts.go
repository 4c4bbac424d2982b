package promapi

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"rhumb"
)

// alertJSON is an alert in the API's form.
type alertJSON struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	State       rhumb.AlertState  `json:"state"`
	ActiveAt    time.Time         `json:"activeAt"`
	Value       string            `json:"value"`
}

// ruleJSON is a rule in the API's form.
type ruleJSON struct {
	State          string            `json:"state"`
	Name           string            `json:"name"`
	Query          string            `json:"query"`
	Duration       float64           `json:"duration"`
	KeepFiringFor  float64           `json:"keepFiringFor"`
	Labels         map[string]string `json:"labels"`
	Annotations    map[string]string `json:"annotations"`
	Alerts         []alertJSON       `json:"alerts"`
	Health         string            `json:"health"`
	EvaluationTime float64           `json:"evaluationTime"`
	LastEvaluation time.Time         `json:"lastEvaluation"`
	Type           string            `json:"type"`
}

// groupJSON is the rules of a stack in the API's form.
type groupJSON struct {
	Name           string     `json:"name"`
	File           string     `json:"file"`
	Rules          []ruleJSON `json:"rules"`
	Interval       float64    `json:"interval"`
	EvaluationTime float64    `json:"evaluationTime"`
	LastEvaluation time.Time  `json:"lastEvaluation"`
}

// active returns the alerts that are pending or firing, which are all that the API knows.
func (a *api) active(r *http.Request) ([]rhumb.Alert, error) {
	if a.Alerts == nil {
		return nil, nil
	}
	all, err := a.Alerts.Alerts(r.Context(), "")
	return slices.DeleteFunc(all, func(x rhumb.Alert) bool { return x.State == rhumb.AlertResolved }), err
}

func (a *api) alerts(r *http.Request) ([]byte, []string, error) {
	all, err := a.active(r)
	list := []alertJSON{}
	for _, x := range all {
		list = append(list, alertOf(x))
	}
	return appendJSON(nil, map[string]any{"alerts": list}), nil, err
}

func alertOf(x rhumb.Alert) alertJSON {
	ls := maps.Clone(x.Labels)
	if ls == nil {
		ls = map[string]string{}
	}
	ls[labels.AlertName], ls["severity"] = x.Rule, string(x.Severity)
	return alertJSON{
		Labels: ls, Annotations: map[string]string{"summary": x.Text}, State: x.State, ActiveAt: x.Since,
		Value: strconv.FormatFloat(x.Value, 'e', -1, 64),
	}
}

func (a *api) rules(r *http.Request) ([]byte, []string, error) {
	groups := []groupJSON{}
	if a.Alerts == nil || r.Form.Get("type") == "record" {
		return appendJSON(nil, map[string]any{"groups": groups}), nil, nil
	}
	rules, err := a.Alerts.AlertRules(r.Context())
	if err != nil {
		return nil, nil, err
	}
	alerts, err := a.active(r)
	if err != nil {
		return nil, nil, err
	}
	for _, rule := range rules {
		if rule.Off {
			continue
		}
		name := cmp.Or(rule.Stack, "rhumb")
		if n := len(groups); n == 0 || groups[n-1].Name != name {
			groups = append(groups, groupJSON{Name: name, File: name})
		}
		g := &groups[len(groups)-1]
		g.Rules = append(g.Rules, ruleOf(rule, alerts))
	}
	return appendJSON(nil, map[string]any{"groups": groups}), nil, nil
}

// ruleOf returns a rule with its alerts. A rule of rhumb's own has those of all stacks.
func ruleOf(rule rhumb.AlertRule, alerts []rhumb.Alert) ruleJSON {
	j := ruleJSON{
		State: "inactive", Name: rule.Name, Query: rule.Expr, Duration: rule.For.Seconds(),
		KeepFiringFor: rule.Keep.Seconds(), Labels: map[string]string{"severity": string(rule.Severity)},
		Annotations: map[string]string{"summary": rule.Text}, Alerts: []alertJSON{}, Health: "ok", Type: "alerting",
	}
	for _, x := range alerts {
		if x.Rule != rule.Name || rule.Stack != "" && rule.Stack != x.Stack {
			continue
		}
		j.Alerts = append(j.Alerts, alertOf(x))
		if j.State != string(rhumb.AlertFiring) {
			j.State = string(x.State)
		}
	}
	return j
}
