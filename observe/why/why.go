// Package why finds out what most likely began a trouble. It lines up what was changed or broke with what became worse,
// and names the happening that can explain most of it. It decides by tables and thresholds: the same records have the
// same explanation.
//
//	series ─┐                       ┌─ troubles ──┐
//	events ─┼─ read (records) ─ find┤             ├─ weigh ─ causes
//	lines  ─┘                       └─ happenings ┘
package why

import (
	"context"
	"time"

	"rhumb"
	"rhumb/observe"
)

// Deps is what an Explainer reads.
type Deps struct {
	Metrics   rhumb.Metrics
	Lines     rhumb.Observer
	Standings observe.Standings
}

// Explainer is a rhumb.Explainer. It is safe for concurrent use.
type Explainer struct{ deps Deps }

// New returns an explainer.
func New(d Deps) *Explainer { return &Explainer{d} }

const (
	usual   = time.Hour        // the time before, from which it knows what is usual; of long times it is longer
	finest  = 15 * time.Second // between two points
	lead    = 15 * time.Minute // a change so long before the chosen time may have begun a trouble in it
	longest = 7 * 24 * time.Hour
	patient = 30 * time.Second // for all queries
)

// Why implements rhumb.Explainer. Other than the port says, it needs no daemon: what it can't read is in Missing.
func (e *Explainer) Why(ctx context.Context, q rhumb.WhyQuery) (rhumb.Explanation, error) {
	q = completed(q, time.Now())
	if err := check(q); err != nil {
		return rhumb.Explanation{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, patient)
	defer cancel()
	r, err := e.read(ctx, q)
	if err != nil {
		return rhumb.Explanation{}, err
	}
	f := find(r)
	return rhumb.Explanation{
		Since: q.Since, Until: q.Until, Causes: causes(f), Happened: happened(f), Missing: r.missing,
	}, nil
}

// completed returns the query with its zeros filled in.
func completed(q rhumb.WhyQuery, now time.Time) rhumb.WhyQuery {
	if q.Until.IsZero() {
		q.Until = now
	}
	if q.Since.IsZero() {
		q.Since = q.Until.Add(-time.Hour)
	}
	return q
}

// check returns Invalid for a time that can't be explained.
func check(q rhumb.WhyQuery) error {
	switch d := q.Until.Sub(q.Since); {
	case d <= 0:
		return rhumb.Errorf(rhumb.Invalid, "the time to explain is empty: it begins at %s and ends at %s",
			q.Since.Format(time.RFC3339), q.Until.Format(time.RFC3339)).WithHint("choose a beginning before the end")
	case d > longest:
		return rhumb.Errorf(rhumb.Invalid, "the time to explain is too long: %s", rhumb.Span(d)).
			WithHint("choose at most %s", rhumb.Span(longest))
	case q.Service != "" && q.Stack == "":
		return rhumb.Errorf(rhumb.Invalid, "service %s: its stack is missing", q.Service).
			WithHint("name the stack of the service")
	}
	return nil
}
