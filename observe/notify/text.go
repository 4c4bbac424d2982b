package notify

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/observe"
)

const (
	maxTitle = 150 // runes
	maxBody  = 3500
)

// title returns what the message is about, in a line.
func (m *Message) title(host string) string {
	subject := cmp.Or(m.Stack, "the server")
	if host != "" {
		subject += " on " + host
	}
	text := ""
	switch first := m.first(); m.Kind {
	case Test:
		text = "Test: messages about alerts of " + cmp.Or(host, "rhumb") + " arrive"
	case Resolved:
		text = "Resolved: " + subject + ": " + first
	case Still:
		text = "Still: " + subject + ": " + first
	default:
		text = "Alert: " + subject + ": " + first
	}
	if n := m.count(); n > 1 {
		text = observe.OneLine(text, maxTitle-20)
		text += fmt.Sprintf(" (and %d more)", n-1)
	}
	return observe.OneLine(text, maxTitle)
}

// lists returns the alerts of the message that are its reason, and the others.
func (m *Message) lists() (reason, others []rhumb.Alert) {
	switch m.Kind {
	case Resolved:
		return m.Resolved, nil
	case Still:
		return m.Firing, nil
	}
	return m.New, m.Firing
}

func (m *Message) first() string {
	if reason, _ := m.lists(); len(reason) > 0 {
		return reason[0].Text
	}
	return ""
}

func (m *Message) count() int {
	reason, _ := m.lists()
	return len(reason)
}

// body returns the text of the message. It ends with how to silence the alert. markup returns hostile text as the
// receiver shows it literally.
func (m *Message) body(markup func(string) string) string {
	var b strings.Builder
	line := func(format string, args ...any) {
		text := observe.OneLine(fmt.Sprintf(format, args...), maxBody)
		if b.Len()+len(text) < maxBody {
			b.WriteString(markup(text) + "\n")
		}
	}
	if m.Kind == Test {
		line("This is a test. Nothing is wrong.")
	}
	reason, others := m.lists()
	for _, a := range reason {
		line("%s", about(a, m.At))
	}
	if len(others) > 0 {
		line("Also firing:")
		for _, a := range others {
			line("- %s", about(a, m.At))
		}
	}
	if m.Kind != Resolved && len(m.Resolved) > 0 {
		line("No longer firing:")
		for _, a := range m.Resolved {
			line("- %s", about(a, m.At))
		}
	}
	if m.Release != 0 {
		line("Serving: %s@%d", m.Stack, m.Release)
	}
	if m.Deployment != "" {
		line("Last deployment: %s", m.Deployment)
	}
	if m.Kind != Resolved && m.Kind != Test && len(reason) > 0 {
		line("Silence: %s", silence(reason[0]))
	}
	if m.Link != "" {
		b.WriteString("Look: " + m.Link + "\n") // from the configuration, not from strangers
	}
	return strings.TrimRight(b.String(), "\n")
}

// about returns a line about an alert.
func about(a rhumb.Alert, now time.Time) string {
	where := ""
	if a.Service != "" && !strings.Contains(a.Text, a.Service) {
		where = a.Service + ": "
	}
	text := fmt.Sprintf("[%s] %s%s (%s", a.Severity, where, a.Text, a.Rule)
	if a.State == rhumb.AlertResolved {
		return text + fmt.Sprintf(", for %s)", rhumb.Span(a.Resolved.Sub(a.Since)))
	}
	return text + fmt.Sprintf(", since %s UTC, %s)", a.Since.UTC().Format(time.TimeOnly), rhumb.Span(now.Sub(a.Since)))
}

// silence returns the command that keeps the alert from being sent for two hours.
func silence(a rhumb.Alert) string {
	command := "rhumb alerts silence --rule " + word(a.Rule)
	if a.Stack != "" {
		command += " --stack " + word(a.Stack)
	}
	if a.Service != "" {
		command += " --service " + word(a.Service)
	}
	return command + " 2h"
}

// word returns a word for a shell. Labels of applications may contain anything.
func word(s string) string {
	plain := func(r rune) bool {
		return r == '-' || r == '_' || r == '.' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
	}
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// scrub removes secrets from a text: a receiver, or an error of the connection, may repeat them.
func (e *endpoint) scrub(text string) string {
	secrets := []string{e.password, e.user}
	if rest, ok := strings.CutPrefix(e.url, "http"); ok {
		_, rest, _ = strings.Cut(rest, "://")
		if _, path, ok := strings.Cut(rest, "/"); ok {
			secrets = append(secrets, path)
			secrets = append(secrets, strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/?&=", r) })...)
		}
	}
	for _, s := range secrets {
		if len(s) >= 4 {
			text = strings.ReplaceAll(text, strconv.Quote(s), "…")
			text = strings.ReplaceAll(text, s, "…")
		}
	}
	return text
}
