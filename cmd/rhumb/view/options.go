package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// printOptions prints a table of what the proxy does with the requests of routes and ports besides forwarding them.
func printOptions(w io.Writer, rs rhumb.RouterStatus) {
	t := newTable(paintOn(w), "ADDRESS", "BESIDES")
	rows := 0
	add := func(address, id, backend string) {
		words := optionWords(rs.Table, id)
		if i := slices.IndexFunc(rs.Table.Backends, func(b rhumb.Backend) bool { return b.Name == backend }); i >= 0 &&
			rs.Table.Backends[i].Sticky {
			words = append(words, "clients stay with a slot")
		}
		if len(words) > 0 {
			t.add(plain(address, strings.Join(words, ", "))...)
			rows++
		}
	}
	for _, l := range rs.Table.Listeners {
		if l.Backend != "" {
			add(listenerAddress(l), l.Options, l.Backend)
		}
	}
	for _, r := range rs.Table.Rules {
		add(rhumb.Route{Host: r.Host, Path: r.Path}.Address(), r.Options, r.Backend)
	}
	if rows > 0 {
		fmt.Fprintln(w)
		t.print(w)
	}
}

// optionWords returns what options do, in words.
func optionWords(t rhumb.Table, id string) (words []string) {
	i := slices.IndexFunc(t.Options, func(o rhumb.TableOptions) bool { return o.ID == id })
	if i < 0 {
		return nil
	}
	o := &t.Options[i].RouteOptions
	say := func(is bool, format string, args ...any) {
		if is {
			words = append(words, fmt.Sprintf(format, args...))
		}
	}
	if r := o.Redirect; r != nil {
		say(true, "redirects to %s with %d", r.To, r.Status)
	}
	say(o.Canonical != "", "redirects other hosts to %s", o.Canonical)
	say(o.Maintenance != nil, "closed for maintenance")
	say(o.Auth != nil, "asks for a password")
	say(o.Strip, "strips its path")
	n, m := changesOf(o.Request), changesOf(o.Response)
	say(n > 0, "changes %d of the request's fields", n)
	say(m > 0, "changes %d of the answer's fields", m)
	say(len(o.Pages) > 0, "has pages for %s", statuses(o.Pages))
	say(o.Compress, "compresses")
	say(o.Buffer != (rhumb.Buffer{}), "buffers")
	limit := func(d time.Duration, what string) { say(d > 0, "waits %s for the answer's %s", d, what) }
	limit(o.Timeouts.Header, "header")
	limit(o.Timeouts.Idle, "next part")
	limit(o.Timeouts.Whole, "end")
	if w := o.WAF; w != nil {
		say(w.Mode == rhumb.WAFDetect, "detects attacks")
		say(w.Mode == rhumb.WAFBlock, "blocks attacks")
	}
	return words
}

func changesOf(h rhumb.HeaderChanges) int { return len(h.Remove) + len(h.Set) + len(h.Add) }

// statuses returns the statuses of pages: "404, 5xx".
func statuses(pages []rhumb.ErrorPage) string {
	var list []string
	for _, p := range pages {
		list = append(list, p.Name())
	}
	return strings.Join(list, " and ")
}
