package why

import (
	"fmt"
	"strconv"
	"time"

	"rhumb"
)

// split compares the two releases at the same time, if both had requests: it returns by how much that speaks for the
// newer one as the cause of a trouble, and in words.
func (f judge) split(h *happening, t *trouble) (float64, string) {
	if t.symptom != failed && t.symptom != slow || h.from == 0 || t.service == "" {
		return 1, ""
	}
	of := func(s signal, release int) []rhumb.Point {
		return f.of(s, key{h.Stack, t.service, strconv.Itoa(release)})
	}
	newer, older := of(p95ByRelease, h.Release), of(p95ByRelease, h.from)
	show := seconds
	if t.symptom == failed {
		newer = ratio(of(failuresByRelease, h.Release), of(requestsByRelease, h.Release))
		older = ratio(of(failuresByRelease, h.from), of(requestsByRelease, h.from))
		show = percent
	}
	a, b, n := together(newer, older, t.at.Add(-f.over), t.at.Add(near))
	if n < 3 {
		return 1, ""
	}
	is := t.evidence.Is
	text := fmt.Sprintf("at the same time, release %d of %s had %s and release %d %s", h.Release,
		title(h.Stack, t.service), show(a), h.from, show(b))
	switch {
	case a > 2*b && b < is/2:
		return 1.4, text
	case b > is/2 && b > a/1.5:
		return 0.3, text
	}
	return 1, ""
}

// together returns the means of two series over the times that both have, and how many these are.
func together(a, b []rhumb.Point, from, to time.Time) (meanA, meanB float64, n int) {
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch c := a[i].Time.Compare(b[j].Time); {
		case c < 0:
			i++
			continue
		case c > 0:
			j++
			continue
		case !a[i].Time.Before(from) && !a[i].Time.After(to):
			meanA, meanB, n = meanA+a[i].Value, meanB+b[j].Value, n+1
		}
		i, j = i+1, j+1
	}
	return meanA / float64(max(n, 1)), meanB / float64(max(n, 1)), n
}
