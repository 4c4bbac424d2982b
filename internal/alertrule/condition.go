package alertrule

import (
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// Scope is what a condition is about: a stack, or one of its services.
type Scope struct {
	Stack   string
	Service string // "": all services of the stack
}

// Parse turns a condition for people into a rule with its Expr, For, Severity, Text and Replicas. The condition is
//
//	MEASURE OPERATOR NUMBER[UNIT] [in TIME] [for TIME]
//
// such as "cpu > 80% for 5m" or "restarts > 3 in 10m". Its errors are Invalid: their message begins with the column,
// their hint says what to write.
func Parse(condition string, scope Scope) (rhumb.AlertRule, error) {
	p := parser{scope: scope, words: split(condition)}
	c, err := p.condition()
	if err != nil {
		return rhumb.AlertRule{}, err
	}
	rule := rhumb.AlertRule{Severity: rhumb.SeverityWarning, For: c.wait, Replicas: c.measure.replicas}
	rule.Expr, rule.Text = c.measure.rule(c)
	return rule, nil
}

// comparison is a condition that was read.
type comparison struct {
	scope    Scope
	measure  *measure
	operator string // ">"
	number   string // of the unit that the measure's expression has
	window   time.Duration
	wait     time.Duration
	unit     unit
}

// compare returns the end of an expression: "> 80".
func (c comparison) compare() string { return c.operator + " " + c.number }

// is returns what a text says about the value, with its unit: "{{value}}%, over 80%".
func (c comparison) is(unit string) string {
	word := map[string]string{">": "over", "<": "under", ">=": "at least", "<=": "at most"}[c.operator]
	return "{{value}}" + unit + ", " + word + " " + c.number + unit
}

// subject returns what a text is about: the service as the alert names it.
const subject = "{{service}}"

// word is a part of a condition and the column, from 1, where it begins.
type word struct {
	text   string
	column int
}

// split returns the words of a condition. Operators are words of their own.
func split(condition string) []word {
	var words []word
	runes := []rune(condition)
	isOperator := func(r rune) bool { return strings.ContainsRune("<>=!", r) }
	for i := 0; i < len(runes); {
		if r := runes[i]; r == ' ' || r == '\t' || r == '\n' || r == '\r' {
			i++
			continue
		}
		begin := i
		for i < len(runes) && !strings.ContainsRune(" \t\n\r", runes[i]) &&
			isOperator(runes[i]) == isOperator(runes[begin]) {
			i++
		}
		words = append(words, word{string(runes[begin:i]), begin + 1})
	}
	return append(words, word{"", len(runes) + 1})
}

// parser reads a condition. The last of its words is empty: the end.
type parser struct {
	scope Scope
	words []word
	at    int
}

const example = `write it as "cpu > 80% for 5m" or "restarts > 3 in 10m"`

func (p *parser) next() word {
	w := p.words[p.at]
	if p.at < len(p.words)-1 {
		p.at++
	}
	return w
}

func wrong(w word, hint, format string, args ...any) error {
	return rhumb.Errorf(rhumb.Invalid, "column "+strconv.Itoa(w.column)+": "+format, args...).WithHint("%s", hint)
}

// shown returns a word for messages.
func shown(w word) string {
	if w.text == "" {
		return "the end"
	}
	return strconv.Quote(w.text)
}

func (p *parser) condition() (comparison, error) {
	c := comparison{scope: p.scope}
	var err error
	if c.measure, err = p.measure(); err != nil {
		return c, err
	}
	if c.operator, err = p.operator(); err != nil {
		return c, err
	}
	if c.number, c.unit, err = p.number(c.measure); err != nil {
		return c, err
	}
	c.window = c.measure.window
	for {
		switch w := p.next(); w.text {
		case "":
			return c, nil
		case "in":
			if c.measure.window == 0 {
				return c, wrong(w, "write for instead of in", "%s isn't counted in a time", c.measure.name)
			}
			c.window, err = p.time(time.Minute, 24*time.Hour)
		case "for":
			c.wait, err = p.time(0, 7*24*time.Hour)
		default:
			return c, wrong(w, `end it with "for 5m"`, "%s isn't expected here", shown(w))
		}
		if err != nil {
			return c, err
		}
	}
}

func (p *parser) operator() (string, error) {
	w := p.next()
	switch w.text {
	case ">", "<", ">=", "<=":
		return w.text, nil
	}
	return "", wrong(w, "write >, >=, < or <=", "%s is not a comparison", shown(w))
}

// time reads a duration of whole seconds, such as 90s, 5m, 1h30m or 2d.
func (p *parser) time(least, most time.Duration) (time.Duration, error) {
	w := p.next()
	d, err := time.ParseDuration(w.text)
	if days, isDays := strings.CutSuffix(w.text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		d = time.Duration(min(max(n, -1), 1000)) * 24 * time.Hour
	}
	if err != nil || d < least || d > most || d%time.Second != 0 {
		return 0, wrong(w, "write it as 90s, 5m or 1h30m", "%s is not a time from %s to %s", shown(w), spanOf(least),
			spanOf(most))
	}
	return d, nil
}

// number reads the number and its unit, which may follow after a space, and returns the number in the unit of the
// measure's expression.
func (p *parser) number(m *measure) (string, unit, error) {
	w := p.next()
	end := strings.IndexFunc(w.text, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(w.text)
	}
	n, err := strconv.ParseFloat(w.text[:end], 64)
	if err != nil || end > 18 {
		return "", unit{}, wrong(w, "write it as "+m.example, "%s is not a number", shown(w))
	}
	name, at := w.text[end:], w.column+end
	if follows := p.words[p.at]; name == "" && follows.text != "" && follows.text != "in" && follows.text != "for" {
		name, at = follows.text, follows.column
		p.next()
	}
	u, ok := m.unit(name)
	switch {
	case ok:
		return strconv.FormatFloat(n*u.factor, 'f', -1, 64), u, nil
	case name == "":
		return "", unit{}, wrong(word{"", w.column + end}, "write it as "+m.example, "the unit is missing")
	}
	return "", unit{}, wrong(word{name, at}, "write it as "+m.example, "%q is not a unit of %s", name, m.name)
}
