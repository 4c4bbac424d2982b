package web

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

// period is the time that a page shows, as its address says.
type period struct {
	From, To time.Time
	Range    string // "6h": it ends now; "": From and To were chosen
}

// ranges are the periods that end now.
var ranges = []struct {
	name   string
	length time.Duration
	words  string
}{
	{"15m", 15 * time.Minute, "the last 15 minutes"}, {"1h", time.Hour, "the last hour"},
	{"6h", 6 * time.Hour, "the last 6 hours"}, {"24h", 24 * time.Hour, "the last 24 hours"},
	{"7d", 7 * 24 * time.Hour, "the last 7 days"}, {"15d", 15 * 24 * time.Hour, "the last 15 days"},
}

// longest is the longest period that a page shows.
const longest = 400 * 24 * time.Hour

// periodOf returns the period of an address: its parameters from and to, or range, or the usual one. Invalid: a time
// can't be read, or the period is empty or too long.
func periodOf(q url.Values, now time.Time, usual string) (period, error) {
	from, err := momentOf(q.Get("from"))
	if err != nil {
		return period{}, err
	}
	to, err := momentOf(q.Get("to"))
	if err != nil {
		return period{}, err
	}
	if from.IsZero() && to.IsZero() {
		return endingNow(q.Get("range"), usual, now), nil
	}
	if to.IsZero() || to.After(now) {
		to = now
	}
	if from.IsZero() {
		from = to.Add(-time.Hour)
	}
	switch {
	case !from.Before(to):
		return period{}, rhumb.Errorf(rhumb.Invalid, "the time from %s to %s is empty", moment(from), moment(to)).
			WithHint("choose an end after the beginning, and a beginning before now")
	case to.Sub(from) > longest:
		return period{}, rhumb.Errorf(rhumb.Invalid, "the time from %s to %s is too long", moment(from), moment(to)).
			WithHint("choose at most 400 days")
	}
	return period{From: from, To: to}, nil
}

func endingNow(name, usual string, now time.Time) period {
	for _, want := range []string{name, usual} {
		for _, r := range ranges {
			if r.name == want {
				return period{From: now.Add(-r.length), To: now, Range: want}
			}
		}
	}
	return period{From: now.Add(-time.Hour), To: now, Range: "1h"}
}

// momentOf reads a time of an address: a Unix time, RFC 3339, or what a person or a browser's field writes, in the
// server's zone.
func momentOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n > 0 && n < 1e11 {
		return time.Unix(n, 0), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil && t.Unix() > 0 {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil && t.Unix() > 0 {
			return t, nil
		}
	}
	return time.Time{}, rhumb.Errorf(rhumb.Invalid, "%q is not a time", cut(60, text)).
		WithHint("write it like 2026-11-28 14:36")
}

// moment returns a time as fields for times have it.
func moment(t time.Time) string { return t.Local().Format("2006-01-02T15:04:05") }

// length returns how long the period is.
func (p period) length() time.Duration { return p.To.Sub(p.From) }

// step returns the distance of points with which a chart of the period has about n.
func (p period) step(n int) time.Duration {
	return max((p.length() / time.Duration(n)).Truncate(time.Second), rhumb.MeasureEvery)
}

// choice is a link of which one is where the reader is.
type choice struct {
	Name, Link string
	Here       bool
}

// periodView is what a page shows of its period, and the ways to others.
type periodView struct {
	period
	Words, FromField, ToField     string
	Ranges                        []choice
	Earlier, Later, Wider, Latest string
}

// seen returns what a page shows of its period. The links keep all other parameters of the page's address.
func (p period) seen(r *http.Request, now time.Time) periodView {
	v := periodView{period: p, FromField: moment(p.From), ToField: moment(p.To)}
	for _, x := range ranges {
		v.Ranges = append(v.Ranges, choice{x.name, with(r, "range", x.name, "from", "", "to", ""), x.name == p.Range})
		if x.name == p.Range {
			v.Words = x.words
		}
	}
	if v.Words == "" {
		v.Words = spoken(now, p.From, "15:04") + " to " + spoken(now, p.To, "15:04")
		v.Latest = with(r, "from", "", "to", "", "range", "")
	}
	half := p.length() / 2
	v.Earlier = between(r, p.From.Add(-half), p.To.Add(-half))
	if p.To.Before(now.Add(-time.Minute)) {
		v.Later = between(r, p.From.Add(half), earlier(now, p.To.Add(half)))
	}
	if 2*p.length() <= longest {
		v.Wider = between(r, p.From.Add(-half), earlier(now, p.To.Add(half)))
	}
	return v
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// between returns the page's address with another period.
func between(r *http.Request, from, to time.Time) string {
	return with(r, "range", "", "from", rfc(from), "to", rfc(to))
}

// with returns a page's address with other parameters: pairs of a name and a value; "" removes it.
func with(r *http.Request, pairs ...string) string {
	q := r.URL.Query()
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			q.Del(pairs[i])
		} else {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	if len(q) == 0 {
		return r.URL.Path
	}
	return r.URL.Path + "?" + q.Encode()
}

// measuredMarks returns the moments at which the release that serves changed, as it was measured: while the daemon is
// away, nothing else is known of deployments.
func measuredMarks(releases []rhumb.Series) []chart.Mark {
	var marks []chart.Mark
	for _, s := range releases {
		for i := 1; i < len(s.Points); i++ {
			if now := s.Points[i].Value; now != s.Points[i-1].Value && now >= 1 {
				label := strconv.FormatFloat(now, 'f', 0, 64)
				marks = append(marks, chart.Mark{At: s.Points[i].Time, Label: label, Title: "release " + label + " serves"})
			}
		}
	}
	slices.SortFunc(marks, func(a, b chart.Mark) int { return a.At.Compare(b.At) })
	return marks
}

const marksAsked = 60 // deployments that a page asks for
