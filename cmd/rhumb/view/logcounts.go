package view

import (
	"fmt"
	"io"
	"strconv"
	"time"

	"rhumb"
)

// LogCounts prints a table of counts of log lines, with a histogram of each service and release.
func LogCounts(w io.Writer, counts []rhumb.LogCount) {
	over := "LINES OVER TIME"
	if len(counts) > 0 && counts[0].Step > 0 {
		over = "LINES PER " + rhumb.Span(counts[0].Step)
	}
	t := newTable(paintOn(w), "SERVICE", "RELEASE", "LINES", "BYTES", "ERRORS", "DROPPED", "LAST", over)
	most := int64(1)
	for _, c := range counts {
		for _, n := range c.Bars {
			most = max(most, n)
		}
	}
	for _, c := range counts {
		release, service := "-", c.Service
		if c.Release != 0 {
			release = strconv.Itoa(c.Release)
		}
		if service == "" {
			service = "-"
		}
		row := plain(service, release, strconv.FormatInt(c.Lines, 10), Bytes(c.Bytes), strconv.FormatInt(c.Errors, 10),
			strconv.FormatInt(c.Dropped, 10), ago(c.Last), bars(c.Bars, most))
		if c.Errors > 0 {
			row[4].code = "31"
		}
		if c.Dropped > 0 {
			row[5].code = "33"
		}
		t.add(row...)
	}
	t.print(w)
	for _, c := range counts {
		if c.Dropped > 0 {
			fmt.Fprintln(w, "\ndropped: lines that could not be kept; the disk was full, or they came too fast")
			return
		}
	}
}

// LogDestinations prints a table of the systems to which lines are sent as well; nothing if there are none.
func LogDestinations(w io.Writer, all []rhumb.LogDestination) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintln(w)
	t := newTable(paintOn(w), "FORWARDED TO", "SENT", "WAITING", "LOST", "LAST ERROR")
	for _, d := range all {
		waiting, problem := strconv.FormatInt(d.WaitingLines, 10), "-"
		if d.WaitingLines > 0 {
			waiting += ", " + Bytes(d.WaitingBytes)
		}
		if d.LastError != "" {
			problem = ago(d.LastErrorAt) + ": " + d.LastError
		}
		if !d.FailingSince.IsZero() {
			problem += "; fails for " + rhumb.Span(time.Since(d.FailingSince))
		}
		row := plain(d.URL, strconv.FormatInt(d.Sent, 10), waiting, strconv.FormatInt(d.Lost, 10), problem)
		if d.Lost > 0 {
			row[3].code = "33"
		}
		if !d.FailingSince.IsZero() {
			row[4].code = "31"
		}
		t.add(row...)
	}
	t.print(w)
}

var barHeights = []rune("▁▂▃▅▇")

// bars draws numbers as bars, the highest for most, which is at least 1. A number that isn't 0 has at least the second
// height.
func bars(numbers []int64, most int64) string {
	drawn := make([]rune, len(numbers))
	last := int64(len(barHeights) - 1)
	for i, n := range numbers {
		drawn[i] = barHeights[(n*last+most-1)/most] // rounded up
	}
	return string(drawn)
}
