package extension

import (
	"maps"
	"regexp"
	"slices"
	"time"

	"rhumb"
	"rhumb/compose/internal/place"
	"rhumb/internal/alertrule"
)

const (
	maxAlerts = 100 // of a stack, and of each service
	maxText   = 500 // bytes of an alert's text
	longest   = 7 * day
)

const alertHint = `write a condition such as "cpu > 80% for 5m", a mapping with when or expr, or off`

var alertName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,62}$`)

// readAlerts reads the alerts of a stack or of a service, by name.
func readAlerts(r reader, v any, of alertrule.Scope) []rhumb.AlertRule {
	m, ok := v.(map[string]any)
	switch {
	case !ok:
		r.wrong("write it as {busy: cpu > 80% for 5m}", "it must be a mapping of names to conditions")
		return nil
	case len(m) > maxAlerts:
		r.wrong("", "%d alerts are too many: at most %d are possible", len(m), maxAlerts)
		return nil
	}
	var rules []rhumb.AlertRule
	for _, name := range slices.Sorted(maps.Keys(m)) {
		a := alertReader{r.below(name), name, of}
		switch _, shipped := alertrule.ShippedRule(name); {
		case !alertName.MatchString(name):
			a.wrong("write letters, digits, - and _, and begin with a letter", "%q can't be the name of an alert", name)
		case name == alertrule.RuleFailed || name == alertrule.MeasuringStopped:
			a.wrong("choose another name", "rhumb has an alert of its own with this name")
		case shipped && !slices.Contains(alertrule.NamesFor(of), name):
			a.wrong("choose another name, or silence it: rhumb alerts silence --rule "+name,
				"rhumb's rule of this name isn't about %s", a.kind())
		default:
			rules = append(rules, a.rule(m[name]))
		}
	}
	return rules
}

// alertReader reads one alert.
type alertReader struct {
	reader
	name string
	of   alertrule.Scope
}

// kind returns what the alerts are of, for messages.
func (a alertReader) kind() string {
	if a.of.Service != "" {
		return "services"
	}
	return "stacks, but about the machine"
}

// rule reads off, a condition, or a mapping.
func (a alertReader) rule(v any) rhumb.AlertRule {
	rule := rhumb.AlertRule{Name: a.name, Stack: a.of.Stack, Service: a.of.Service}
	shipped, isShipped := alertrule.ShippedRule(a.name)
	rule.Severity, rule.Keep = rhumb.SeverityWarning, shipped.Keep
	if isShipped {
		rule.Severity = shipped.Severity
	}
	switch v := v.(type) {
	case bool, nil:
		a.off(&rule, v == false, isShipped)
	case string:
		if v == "off" {
			a.off(&rule, true, isShipped)
		} else {
			a.condition(&rule, v)
		}
	case map[string]any:
		a.mapping(&rule, v, shipped)
	default:
		a.wrong(alertHint, "%v is not a condition", shown(v))
	}
	return rule
}

// off turns a rule of rhumb's off. YAML reads off as false.
func (a alertReader) off(rule *rhumb.AlertRule, isOff, isShipped bool) {
	switch {
	case !isOff:
		a.wrong(alertHint, "the condition is missing")
	case !isShipped:
		names := alertrule.NamesFor(a.of)
		hint := "leave it out; rhumb alerts rules lists rhumb's own"
		if c := place.Closest(a.name, names); c != "" {
			hint = "did you mean " + c + "?"
		}
		a.wrong(hint, "rhumb has no rule of this name to turn off")
	}
	rule.Off = true
}

// condition reads a condition in plain words.
func (a alertReader) condition(rule *rhumb.AlertRule, text string) {
	c, err := alertrule.Parse(text, alertrule.Scope{Stack: rule.Stack, Service: rule.Service})
	if err != nil {
		a.wrong(rhumb.ErrorHint(err), "%s", err)
		return
	}
	rule.Expr, rule.For, rule.Text, rule.Replicas = c.Expr, c.For, c.Text, c.Replicas
}

// mapping reads the long form. Without a condition it changes a rule of rhumb's.
func (a alertReader) mapping(rule *rhumb.AlertRule, v map[string]any, shipped rhumb.AlertRule) {
	fields := a.fields(v, "when", "expr", "for", "keep", "severity", "text")
	when, isPlain := fields["when"]
	expr, isPromQL := fields["expr"]
	switch {
	case isPlain && isPromQL:
		a.wrong("keep one of them", "when and expr are both set")
	case isPlain:
		at := alertReader{a.below("when"), a.name, a.of}
		at.condition(rule, at.text(when))
	case isPromQL:
		at := a.below("expr")
		rule.Expr = at.text(expr)
		if err := alertrule.CheckExpr(rule.Expr); err != nil {
			at.wrong(rhumb.ErrorHint(err), "%s", err)
		}
	case shipped.Name != "" && len(fields) > 0:
		rule.Expr, rule.For, rule.Text, rule.Replicas = shipped.Expr, shipped.For, shipped.Text, shipped.Replicas
	default:
		a.wrong(`add when, such as "cpu > 80%", or expr in PromQL`, "the condition is missing")
	}
	if v, ok := fields["for"]; ok {
		at := a.below("for")
		if isPlain && rule.For > 0 {
			at.wrong("keep one of them", "the condition says for how long already")
		}
		rule.For = at.days(v, 0, longest, "up to 7d")
	}
	if v, ok := fields["keep"]; ok {
		rule.Keep = a.below("keep").days(v, 0, longest, "up to 7d")
	}
	if v, ok := fields["severity"]; ok {
		rule.Severity = readSeverity(a.below("severity"), v)
	}
	if v, ok := fields["text"]; ok {
		at := a.below("text")
		if rule.Text = at.text(v); len(rule.Text) > maxText {
			at.wrong("", "it is longer than %d bytes", maxText)
		}
	}
}

func readSeverity(r reader, v any) rhumb.Severity {
	switch s := rhumb.Severity(r.text(v)); s {
	case rhumb.SeverityWarning, rhumb.SeverityCritical:
		return s
	default:
		r.wrong("write warning or critical", "unknown severity %q", s)
	}
	return ""
}

const (
	scrapeEvery = 15 * time.Second
	scrapePath  = "/metrics"
)

// readMetrics reads where replicas answer with metrics of their own: a port, or a mapping.
func readMetrics(r reader, v any) *rhumb.Scrape {
	s := rhumb.Scrape{Path: scrapePath, Every: scrapeEvery}
	m, isMapping := v.(map[string]any)
	if !isMapping {
		s.Port = r.port(v)
		return &s
	}
	fields := r.fields(m, "port", "path", "every")
	if v, ok := fields["port"]; ok {
		s.Port = r.below("port").port(v)
	} else {
		r.wrong("add the port of the container that answers with metrics", "the port is missing")
	}
	if v, ok := fields["path"]; ok {
		s.Path = r.below("path").askedPath(v)
	}
	if v, ok := fields["every"]; ok {
		s.Every = r.below("every").days(v, rhumb.MeasureEvery, time.Hour, "from 5s to 1h")
	}
	return &s
}
