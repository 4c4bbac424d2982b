package web

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"rhumb"
)

// eventRow is what the page of events shows of one.
type eventRow struct {
	stepRow
	Event rhumb.Event
	Day   string // of the first row of a day: "Saturday 28 November"; "" for all others
}

// eventsView is the data of the page of events.
type eventsView struct {
	Stack  string // "": all
	Stacks []string
	Rows   []eventRow // newest first
	Err    error
	Limit  int
	More   int // the next larger limit; 0: all that are stored are shown
}

// eventLimits are how many events the page shows: at first, and by request.
var eventLimits = []int{100, 400, 1000}

// eventsPage shows what happened.
func eventsPage(s *server, r *http.Request) (view, error) {
	v := eventsView{Stack: r.URL.Query().Get("stack"), Limit: eventLimits[0]}
	if n, err := strconv.Atoi(r.URL.Query().Get("limit")); err == nil && slices.Contains(eventLimits, n) {
		v.Limit = n
	}
	as := &answers{ctx: r.Context()}
	stacks := ask(as, s.Stacks.Stacks)
	events := ask(as, func(ctx context.Context) ([]rhumb.Event, error) {
		return s.eventsOf(ctx, rhumb.EventFilter{Stack: v.Stack, Limit: v.Limit})
	})
	as.wait()
	out := view{Title: "Events", Live: liveAt(v.Stack, time.Minute)}
	v.Err = events.Err
	if away(events.Err) {
		out.Away, v.Err = events.Err, nil
	}
	for _, st := range stacks.Is {
		v.Stacks = append(v.Stacks, st.Name)
	}
	if v.Stack != "" && !slices.Contains(v.Stacks, v.Stack) {
		v.Stacks = append(v.Stacks, v.Stack)
	}
	v.Rows = eventRows(events.Is)
	if len(events.Is) == v.Limit {
		if i := slices.Index(eventLimits, v.Limit); i+1 < len(eventLimits) {
			v.More = eventLimits[i+1]
		}
	}
	out.Page = v
	return out, nil
}

// eventRows returns events as rows, newest first.
func eventRows(events []rhumb.Event) []eventRow {
	var rows []eventRow
	day := ""
	for _, e := range slices.Backward(events) {
		row := eventRow{stepRow: stepOf(e), Event: e}
		if d := e.At.Local().Format("Monday 2 January"); d != day {
			day, row.Day = d, d
		}
		rows = append(rows, row)
	}
	return rows
}
