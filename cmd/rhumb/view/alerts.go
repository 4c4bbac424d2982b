package view

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// Alerts prints a table of alerts, those that fire first.
func Alerts(w io.Writer, list []rhumb.Alert) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no alerts")
		return
	}
	t := newTable(paintOn(w), "STATE", "SEVERITY", "ALERT", "OF", "SINCE", "WHAT")
	order := []rhumb.AlertState{rhumb.AlertFiring, rhumb.AlertPending, rhumb.AlertResolved}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b rhumb.Alert) int {
		return cmp.Compare(slices.Index(order, a.State), slices.Index(order, b.State))
	})
	for _, a := range list {
		since := ago(a.Since)
		if a.State == rhumb.AlertResolved {
			since = fmt.Sprintf("%s, for %s", since, rhumb.Span(a.Resolved.Sub(a.Since)))
		}
		row := plain(string(a.State)+unsent(a), string(a.Severity), a.Rule, subjectOf(a), since, a.Text)
		row[0].code = alertColour(a)
		t.add(row...)
	}
	t.print(w)
}

// unsent returns why an alert isn't sent: ", silenced".
func unsent(a rhumb.Alert) string {
	switch {
	case a.State == rhumb.AlertResolved:
		return ""
	case a.Silence != "":
		return ", silenced by " + a.Silence
	case a.Inhibited:
		return ", awaits the deployment"
	}
	return ""
}

// subjectOf returns what an alert is about: a replica, a service, a stack or the server.
func subjectOf(a rhumb.Alert) string {
	switch {
	case a.Replica != "":
		return a.Replica
	case a.Service != "":
		return a.Stack + "/" + a.Service
	}
	return cmp.Or(a.Stack, "server")
}

func alertColour(a rhumb.Alert) string {
	switch {
	case a.State == rhumb.AlertResolved:
		return "32"
	case a.State == rhumb.AlertFiring && a.Severity == rhumb.SeverityCritical:
		return "31"
	}
	return "33"
}

// AlertRules prints a table of rules.
func AlertRules(w io.Writer, list []rhumb.AlertRule) {
	t := newTable(paintOn(w), "RULE", "OF", "SEVERITY", "FOR", "WHEN", "WRITTEN IN")
	for _, r := range list {
		of, when := "all stacks", r.Expr
		switch {
		case r.Service != "":
			of = r.Stack + "/" + r.Service
		case r.Stack != "":
			of = r.Stack
		}
		if r.Off {
			when = "off"
		}
		t.add(plain(r.Name, of, string(r.Severity), forWords(r.For), when, cmp.Or(r.At, "rhumb"))...)
	}
	t.print(w)
}

func forWords(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return rhumb.Span(d)
}

// AlertReceivers prints a table of where messages are sent.
func AlertReceivers(w io.Writer, list []rhumb.AlertReceiver) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no receivers")
		return
	}
	t := newTable(paintOn(w), "RECEIVER", "LAST SENT", "LAST ERROR")
	for _, r := range list {
		row := plain(r.URL, cmp.Or(ago(r.Sent), "never"), "-")
		if r.LastError != "" {
			row[2] = cell{text: ago(r.ErrorAt) + ": " + r.LastError, code: "31"}
		}
		t.add(row...)
	}
	t.print(w)
}

// Silences prints a table of silences.
func Silences(w io.Writer, list []rhumb.Silence) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no silences")
		return
	}
	t := newTable(paintOn(w), "SILENCE", "OF", "FOR", "BY", "WHY")
	for _, s := range list {
		t.add(plain(s.ID, SilenceOf(s), rhumb.Span(time.Until(s.Until)), s.By, s.Why)...)
	}
	t.print(w)
}

// SilenceOf returns which alerts a silence is about: "HighLatency of shop/web".
func SilenceOf(s rhumb.Silence) string {
	subject := s.Stack
	switch {
	case s.Service != "" && s.Stack != "":
		subject += "/" + s.Service
	case s.Service != "":
		subject = s.Service + " of any stack"
	}
	words := []string{cmp.Or(s.Rule, "all alerts")}
	if subject != "" {
		words = append(words, "of", subject)
	}
	return strings.Join(words, " ")
}
