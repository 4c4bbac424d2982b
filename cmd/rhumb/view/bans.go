package view

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"time"

	"rhumb"
)

// Bans prints a table of bans.
func Bans(w io.Writer, list []rhumb.Ban) {
	if len(list) == 0 {
		fmt.Fprintln(w, "no client is banned")
		return
	}
	t := newTable(paintOn(w), "CLIENT", "SINCE", "LEFT", "BY", "REASON", "REFUSED", "REFERENCE")
	now := time.Now()
	for _, b := range list {
		t.add(plain(rhumb.ClientText(b.Client), ago(b.Since), leftOf(b, now), banner(b), cmp.Or(b.Reason, "-"),
			strconv.FormatUint(b.Refused, 10), b.Reference)...)
	}
	t.print(w)
}

// leftOf returns how long a ban still lasts.
func leftOf(b rhumb.Ban, now time.Time) string {
	if b.Until.IsZero() {
		return "until removed"
	}
	return rhumb.Span(b.Until.Sub(now))
}

// banner returns who has banned a client: a rule, a user, or another system.
func banner(b rhumb.Ban) string {
	if b.By != "" {
		return b.By
	}
	return b.Stack + "/" + b.Service + " " + b.Rule
}

// BanOf returns a ban in a sentence.
func BanOf(b rhumb.Ban, now time.Time) string {
	text := OneLine(fmt.Sprintf("%s is banned by %s", rhumb.ClientText(b.Client), banner(b)))
	if b.Until.IsZero() {
		text += " until it is removed"
	} else {
		text += " for another " + rhumb.Span(b.Until.Sub(now))
	}
	if b.Reason != "" {
		text += OneLine(": " + b.Reason)
	}
	return text
}

// BanAnswer prints what is known about an address.
func BanAnswer(w io.Writer, a rhumb.BanAnswer, now time.Time) {
	if a.Ban == nil {
		fmt.Fprintf(w, "%s is not banned\n", a.Addr)
	} else {
		fmt.Fprintln(w, BanOf(*a.Ban, now))
		fmt.Fprintf(w, "  since %s; requests refused: %d; reference %s\n", a.Ban.Since.Local().Format(time.DateTime),
			a.Ban.Refused, a.Ban.Reference)
	}
	if a.Spared != "" {
		fmt.Fprintf(w, "  rules don't ban it: %s\n", a.Spared)
	}
	if a.Past > 0 {
		fmt.Fprintf(w, "  earlier bans: %d; the next one lasts longer\n", a.Past)
	}
	for _, c := range a.Counts {
		fmt.Fprintln(w, OneLine(fmt.Sprintf("  %s/%s %s: %d of %d matches within %s, the last %s", c.Stack, c.Service, c.Rule,
			c.Matches, c.Count, rhumb.ExactSpan(c.In), ago(c.Last))))
	}
	if a.Ban == nil && a.Spared == "" && len(a.Counts) == 0 {
		fmt.Fprintln(w, "  it has matched no rule of late")
	}
}
