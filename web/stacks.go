package web

import (
	"cmp"
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"rhumb"
)

// stackRow is what the page of all stacks shows of one.
type stackRow struct {
	rhumb.StackInfo
	Standing standing
	Requests float64       // per second
	Errors   float64       // of the requests, a ratio
	Served   bool          // requests are counted for it
	Spark    []rhumb.Point // requests per second within the last hour
	Firing   int           // alerts
	Dots     []serviceDots
}

// serviceDots are the replicas of one service.
type serviceDots struct {
	Service string
	Dots    []replicaDot
}

// stacksView is the data of the page of all stacks.
type stacksView struct {
	Stacks  []stackRow
	Err     error // the daemon's, if it answers with one
	Metrics error // why there are no figures
	Ready   int
	Wanted  int
	Firing  int
	Alerts  bool // Firing is known
	Recent  []eventRow
}

const (
	perStack = "sum by (stack) (rate(rhumb_requests_total[1m]))"
	badShare = "sum by (stack) (rate(rhumb_request_errors_total[5m])) / sum by (stack) (rate(rhumb_requests_total[5m]))"
)

// stacksPage shows all stacks.
func stacksPage(s *server, r *http.Request) (view, error) {
	as := &answers{ctx: r.Context()}
	stacks := ask(as, s.Stacks.Stacks)
	spark := s.askMetric(as, perStack, time.Hour, time.Minute)
	now := s.askMetric(as, perStack, 0, 0)
	bad := s.askMetric(as, badShare, 0, 0)
	known := s.askMetric(as, "max by (stack) (last_over_time(rhumb_stack_release[1d]))", 0, 0)
	alerts := ask(as, func(ctx context.Context) (map[string]int, error) { return s.firing(ctx), nil })
	events := ask(as, func(ctx context.Context) ([]rhumb.Event, error) {
		return s.eventsOf(ctx, rhumb.EventFilter{Limit: 300})
	})
	as.wait()
	v := stacksView{Recent: eventRows(notable(events.Is)), Metrics: cmp.Or(spark.Err, now.Err, bad.Err),
		Firing: alerts.Is[""], Alerts: alerts.Is != nil}
	out := view{Title: "Stacks", Live: liveAt("", 2*rhumb.MeasureEvery)}
	switch {
	case away(stacks.Err):
		out.Away = stacks.Err
		stacks.Is = nil
		releases := lastBy("stack", known.Is)
		for _, name := range slices.Sorted(maps.Keys(releases)) {
			stacks.Is = append(stacks.Is, rhumb.StackInfo{Name: name, Release: int(releases[name])})
		}
	case stacks.Err != nil:
		v.Err = stacks.Err
	}
	points, requests, errs := pointsBy("stack", spark.Is), lastBy("stack", now.Is), lastBy("stack", bad.Is)
	for _, st := range stacks.Is {
		row := stackRow{StackInfo: st, Standing: standingOf(st), Spark: points[st.Name], Requests: requests[st.Name],
			Errors: errs[st.Name], Firing: alerts.Is[st.Name]}
		_, row.Served = requests[st.Name]
		if out.Away != nil {
			row.Standing = standing{Word: "unknown"}
		}
		for _, svc := range st.Services {
			row.Dots = append(row.Dots, serviceDots{svc.Name, dotsOf(svc)})
		}
		v.Ready += row.Standing.Ready
		v.Wanted += row.Standing.Wanted
		v.Stacks = append(v.Stacks, row)
	}
	out.Page = v
	return out, nil
}

// notable returns the last few events that say more than that a replica came or went.
func notable(events []rhumb.Event) []rhumb.Event {
	const most = 8
	var few []rhumb.Event
	for _, e := range events {
		switch e.Kind {
		case rhumb.EventDeployment, rhumb.EventFailed, rhumb.EventBackoff, rhumb.EventWarning,
			rhumb.EventLimits:
			few = append(few, e)
		case rhumb.EventHook:
			if e.Hook != nil && e.Hook.Failed != "" {
				few = append(few, e)
			}
		}
	}
	return few[max(0, len(few)-most):]
}
