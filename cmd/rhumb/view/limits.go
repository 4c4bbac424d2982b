package view

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// printLimits prints a table of the limits of backends, and what they have done.
func printLimits(w io.Writer, rs rhumb.RouterStatus) {
	t := newTable(paintOn(w), "SERVICE", "LIMITS", "REFUSED", "OBSERVED", "NOW")
	limited := false
	for i := range rs.Table.Backends {
		b := &rs.Table.Backends[i]
		if len(b.Limits) == 0 {
			continue
		}
		limited = true
		t.add(limitsRow(b.Name, b.Limits, rs.Backends[b.Name].Limits)...)
	}
	if limited {
		fmt.Fprintln(w)
		t.print(w)
	}
}

func limitsRow(backend string, limits []rhumb.Limit, st *rhumb.LimitStats) []cell {
	var words []string
	for i := range limits {
		words = append(words, limitWords(&limits[i]))
	}
	if st == nil {
		st = &rhumb.LimitStats{}
	}
	now, code := "-", ""
	switch {
	case st.Shared != "":
		now, code = "only observe: nearly all clients come from "+st.Shared, "33"
	case !st.Since.IsZero():
		now, code = "refuse since "+rhumb.Span(time.Since(st.Since)), "33"
	}
	row := plain(backend, strings.Join(words, "; "), strconv.FormatUint(st.Refused, 10),
		strconv.FormatUint(st.Observed, 10), now)
	row[4].code = code
	return row
}

// limitWords returns a limit in short: "20/s + 40 by client on /login".
func limitWords(l *rhumb.Limit) string {
	var parts []string
	if l.Rate != (rhumb.Rate{}) {
		parts = append(parts, fmt.Sprintf("%s + %d", l.Rate, l.Burst))
	}
	if l.Connections > 0 {
		parts = append(parts, fmt.Sprintf("%d at a time", l.Connections))
	}
	if l.Body > 0 {
		parts = append(parts, "bodies to "+Bytes(l.Body))
	}
	s := strings.Join(parts, ", ")
	if l.By != "" && l.By != rhumb.ByClient {
		s += " by " + string(l.By)
	}
	if l.Route != "" {
		s += " on " + l.Route
	}
	if len(l.Paths) > 0 {
		s += " on " + strings.Join(l.Paths, ", ")
	}
	if l.Observe {
		s += " (observes)"
	}
	return s
}
