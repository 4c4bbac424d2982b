package logstore

import (
	"context"
	"math"
	"strconv"
	"strings"
	"sync"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"rhumb"
	"rhumb/observe"
)

// tenants are those of all lines.
var tenants = []logstorage.TenantID{{}}

// filter chooses lines of one stack.
type filter struct {
	text  string             // in LogsQL; its values are quoted
	user  *logstorage.Filter // LogQuery.Query; nil: none
	match func(*rhumb.LogLine) bool
}

// filterOf returns the filter of a query, without its times.
func filterOf(q rhumb.LogQuery) (*filter, error) {
	match, err := observe.Match(q)
	if err != nil {
		return nil, err
	}
	f := &filter{text: textOf(q), match: match}
	if strings.TrimSpace(q.Query) != "" {
		if f.user, err = userFilter(q.Query); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// userFilter reads a filter in LogsQL.
func userFilter(s string) (*logstorage.Filter, error) {
	bad := func(why string) error {
		return rhumb.Errorf(rhumb.Invalid, "the query %q can't be read: %s", s, why).
			WithHint(`write words, "phrases" and field:value, joined by and, or, not and parentheses`)
	}
	q, err := logstorage.ParseQuery(s)
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "; context:")
		return nil, bad(why)
	}
	f, err := logstorage.ParseFilter(s)
	if err != nil || hasPipe(q.String()) {
		return nil, bad(`"|" isn't supported: a query only chooses lines`)
	}
	return f, nil
}

// hasPipe reports whether a query has pipes, also in subqueries. It must be as the library prints it.
func hasPipe(s string) bool {
	for s != "" {
		if quoted, err := strconv.QuotedPrefix(s); err == nil {
			s = s[len(quoted):]
			continue
		}
		if s[0] == '|' {
			return true
		}
		s = s[1:]
	}
	return false
}

// textOf returns a query in LogsQL, without its times and its Query.
func textOf(q rhumb.LogQuery) string {
	terms := []string{"*"}
	if len(q.Services) > 0 {
		terms = append(terms, oneOf(fieldService, q.Services))
	}
	if q.Replica != "" {
		replica := strconv.Quote(q.Replica)
		terms = append(terms, "("+fieldReplica+":="+replica+" or "+fieldContainer+":="+replica+"*)")
	}
	if q.Release != 0 {
		terms = append(terms, equal(fieldRelease, strconv.Itoa(q.Release)))
	}
	terms = append(terms, oneOf(fieldKind, q.ChosenKinds()))
	if q.Stream != "" {
		terms = append(terms, equal(fieldStream, q.Stream))
	}
	if q.Level > rhumb.LevelUnknown {
		terms = append(terms, oneOf(fieldLevel, levels[q.Level:]))
	}
	if q.Grep != "" {
		terms = append(terms, grep(q.Grep)...)
	}
	return strings.Join(terms, " ")
}

// equal is the term that a field is a value.
func equal(field, value string) string { return field + ":=" + strconv.Quote(value) }

// oneOf is the term that a field is one of some values.
func oneOf[S ~string](field string, values []S) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(string(v))
	}
	return field + ":in(" + strings.Join(quoted, ",") + ")"
}

// writer returns the filter of all lines of what wrote a line.
func writer(l *rhumb.LogLine) *filter {
	return &filter{text: strings.Join([]string{
		equal(fieldService, l.Service), equal(fieldReplica, l.Replica), equal(fieldContainer, l.Container),
	}, " ")}
}

// span is a time in nanoseconds since 1970, from a first to a last one.
type span struct{ from, to int64 }

// spanOf returns the time that a query chooses.
func spanOf(q rhumb.LogQuery) span {
	s := span{math.MinInt64, math.MaxInt64}
	if !q.Since.IsZero() {
		s.from = nanoseconds(q.Since)
	}
	if !q.Until.IsZero() {
		s.to = nanoseconds(q.Until)
	}
	return s
}

// and returns the time that two spans have in common. It is empty if from is after to.
func (s span) and(o span) span { return span{max(s.from, o.from), min(s.to, o.to)} }

// empty reports whether a span has no time.
func (s span) empty() bool { return s.from > s.to }

// run runs a filter on a storage, for lines before an epoch. pipes is what follows, in LogsQL. The calls of each don't
// overlap.
func (f *filter) run(ctx context.Context, s *logstorage.Storage, at span, epoch uint64, pipes string,
	each func(*logstorage.DataBlock),
) error {
	text := f.text + " " + fieldEpoch + ":<" + strconv.FormatUint(epoch, 10) + pipes
	q, err := logstorage.ParseQuery(text)
	if err != nil {
		return rhumb.Errorf(rhumb.Internal, "the log storage can't read %q: %w", text, err)
	}
	if f.user != nil {
		q.AddExtraFilters(f.user)
	}
	q.AddTimeFilter(at.from, at.to)
	qc := logstorage.NewQueryContext(ctx, &logstorage.QueryStats{}, tenants, q, false, nil)
	var mu sync.Mutex // the library calls from several goroutines
	write := func(_ uint, db *logstorage.DataBlock) {
		mu.Lock()
		defer mu.Unlock()
		each(db)
	}
	if err := s.RunQuery(qc, write); err != nil && ctx.Err() == nil {
		return rhumb.Errorf(rhumb.Internal, "the log storage can't search: %w", err)
	}
	return nil
}
