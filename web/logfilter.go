package web

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"rhumb"
)

// logFilter is which lines a page of logs shows. All of it is in the page's address.
type logFilter struct {
	Stack   string
	Service string
	Release int
	Level   rhumb.Level
	Stream  string
	How     string // how Text is meant: "text", "regexp" or "logsql"
	Text    string
	period
}

// maxSearch is the longest text that is searched for, in bytes.
const maxSearch = 2000

// logFilterOf reads the filter of an address. Invalid: something in it isn't what it must be.
func logFilterOf(r *http.Request, now time.Time) (logFilter, error) {
	q := r.URL.Query()
	f := logFilter{Stack: q.Get("stack"), Service: q.Get("service"), Stream: q.Get("stream"), How: q.Get("how"),
		Text: q.Get("q")}
	var err error
	if f.period, err = periodOf(q, now, "1h"); err != nil {
		return f, err
	}
	if f.Level, err = rhumb.ParseLevel(q.Get("level")); err != nil {
		return f, err
	}
	if text := q.Get("release"); text != "" {
		if f.Release, err = strconv.Atoi(text); err != nil || f.Release < 1 {
			return f, rhumb.Errorf(rhumb.Invalid, "%q is not the number of a release", cut(40, text))
		}
	}
	if f.How != "regexp" && f.How != "logsql" {
		f.How = "text"
	}
	if f.Stream != "stdout" && f.Stream != "stderr" {
		f.Stream = ""
	}
	if len(f.Text) > maxSearch {
		return f, rhumb.Errorf(rhumb.Invalid, "the text to search for is longer than %d bytes", maxSearch)
	}
	return f, nil
}

// grep returns the regular expression that finds the text; nil: there is none, or the text isn't one.
func (f *logFilter) grep() *regexp.Regexp {
	re, err := regexp.Compile(f.expression())
	if f.expression() == "" || err != nil {
		return nil
	}
	return re
}

func (f *logFilter) expression() string {
	switch {
	case f.Text == "" || f.How == "logsql":
		return ""
	case f.How == "regexp":
		return f.Text
	}
	return "(?i)" + regexp.QuoteMeta(f.Text)
}

// query returns the query that chooses the lines.
func (f *logFilter) query() rhumb.LogQuery {
	q := rhumb.LogQuery{Stack: f.Stack, Release: f.Release, Level: f.Level, Stream: f.Stream, Grep: f.expression()}
	if f.Service != "" {
		q.Services = []string{f.Service}
	}
	if f.How == "logsql" {
		q.Query = f.Text
	}
	q.Since, q.Until = f.From, f.To
	return q
}

// address returns the address of a page of logs with this filter, as it stays valid tomorrow: with fixed times.
func (f *logFilter) address(path string, pairs ...string) string {
	q := url.Values{}
	for name, value := range map[string]string{"stack": f.Stack, "service": f.Service, "level": f.Level.String(),
		"stream": f.Stream, "q": f.Text, "from": rfc(f.From), "to": rfc(f.To)} {
		if value != "" {
			q.Set(name, value)
		}
	}
	if f.Text != "" && f.How != "text" {
		q.Set("how", f.How)
	}
	if f.Release > 0 {
		q.Set("release", strconv.Itoa(f.Release))
	}
	for i := 0; i+1 < len(pairs); i += 2 {
		if q.Del(pairs[i]); pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return path + "?" + q.Encode()
}

// narrow reports whether the filter chooses fewer lines than all of a time.
func (f *logFilter) narrow() bool {
	return f.Text != "" || f.Level > 0 || f.Stream != "" || f.Release > 0 || f.Service != ""
}
