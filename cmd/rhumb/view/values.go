package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"rhumb"
)

// maxColumns is how many labels have a column of their own.
const maxColumns = 6

// Values prints a table of the last value of each series.
func Values(w io.Writer, q rhumb.MetricQuery, list []rhumb.Series) {
	if len(list) == 0 {
		fmt.Fprintf(w, "no values of %s at this time\n", OneLine(q.Expr))
		return
	}
	labels := labelsOf(list)
	heads := []string{"SERIES"}
	if len(labels) <= maxColumns {
		heads = nil
		for _, l := range labels {
			heads = append(heads, strings.ToUpper(strings.Trim(l, "_")))
		}
	}
	u := unitOf(q.Expr)
	t := newTable(paintOn(w), append(heads, "VALUE")...)
	for _, s := range list {
		var row []string
		for _, l := range labels {
			row = append(row, s.Labels[l])
		}
		if len(labels) > maxColumns {
			row = seriesNames([]rhumb.Series{s}, q.Expr)
		}
		if n := len(s.Points); n > 0 {
			row = append(row, u.format(s.Points[n-1].Value))
		}
		t.add(plain(row...)...)
	}
	t.print(w)
	if !q.Until.IsZero() && time.Since(q.Until) > time.Minute {
		fmt.Fprintf(w, "\nat %s\n", q.Until.Local().Format(time.DateTime))
	}
}

// labelsOf returns the names of all labels of series, sorted.
func labelsOf(list []rhumb.Series) (labels []string) {
	for _, s := range list {
		for l := range s.Labels {
			if !slices.Contains(labels, l) {
				labels = append(labels, l)
			}
		}
	}
	slices.Sort(labels)
	return labels
}
