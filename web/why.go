package web

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

// whyView is the data of the page that explains a trouble.
type whyView struct {
	Stack, Service     string
	Stacks             []string
	SinceText, ToField string // of the form
	SinceField         string
	Ranges             []choice
	Asked              bool
	Period             string // in words
	Is                 rhumb.Explanation
	First              *causeView
	Others             []rhumb.WhyCause
	Happened           []happeningRow
	Err                error
}

// causeView is the likeliest cause with charts of what speaks for it.
type causeView struct {
	rhumb.WhyCause
	Evidence []evidenceRow
	Logs     string
	Link     string // of the deployment's stack
}

// evidenceRow is a piece of evidence; Chart is nil if it has no series, or more pieces come before it.
type evidenceRow struct {
	rhumb.Evidence
	Chart *chart.Line
	Err   error
}

// happeningRow is one line of the list of what happened.
type happeningRow struct {
	rhumb.Happening
	First bool // it is the likeliest cause
}

const evidenceCharts = 3 // on a page

// whyPage finds out what began a trouble.
func whyPage(s *server, r *http.Request) (view, error) {
	now, q := s.now(), r.URL.Query()
	v := whyView{Stack: q.Get("stack"), Service: q.Get("service")}
	as := &answers{ctx: r.Context()}
	stacks := ask(as, s.Stacks.Stacks)
	as.wait()
	names := map[string]bool{v.Stack: true}
	for _, st := range stacks.Is {
		names[st.Name] = true
	}
	delete(names, "")
	v.Stacks = slices.Sorted(maps.Keys(names))
	out := view{Title: "Why"}
	if away(stacks.Err) {
		out.Away = stacks.Err
	}
	p, err := periodOf(map[string][]string{"from": q["since"], "to": q["until"], "range": q["range"]}, now, "1h")
	if err != nil {
		return view{}, err
	}
	seen := p.seen(r, now)
	v.Period, v.SinceField, v.ToField = seen.Words, seen.FromField, seen.ToField
	for _, x := range ranges {
		link := with(r, "range", x.name, "since", "", "until", "", "ask", "1")
		v.Ranges = append(v.Ranges, choice{x.name, link, x.name == p.Range})
	}
	v.Asked = q.Get("ask") != "" || q.Get("since") != ""
	if v.Asked {
		explain(r.Context(), s, &v, p)
	}
	out.Page = v
	return out, nil
}

// explain asks for the explanation, and for charts of its evidence.
func explain(ctx context.Context, s *server, v *whyView, p period) {
	asked := &answers{ctx: ctx}
	why := ask(asked, func(ctx context.Context) (rhumb.Explanation, error) {
		return s.Explain.Why(ctx, rhumb.WhyQuery{Stack: v.Stack, Service: v.Service, Since: p.From, Until: p.To})
	})
	asked.wait()
	if v.Err, v.Is = why.Err, why.Is; v.Err != nil {
		return
	}
	for _, h := range v.Is.Happened {
		first := len(v.Is.Causes) > 0 && h == v.Is.Causes[0].Happening
		v.Happened = append(v.Happened, happeningRow{h, first})
	}
	if len(v.Is.Causes) == 0 {
		return
	}
	c := v.Is.Causes[0]
	v.First, v.Others = &causeView{WhyCause: c}, v.Is.Causes[1:]
	around := logFilter{Stack: c.Stack, Service: c.Service, Level: rhumb.LevelWarn,
		period: period{From: c.At.Add(-2 * time.Minute), To: c.At.Add(10 * time.Minute)}}
	v.First.Logs = around.address("/logs")
	drawEvidence(ctx, s, v.First, p)
}

// drawEvidence draws the series that speak for a cause, from a while before it on.
func drawEvidence(ctx context.Context, s *server, c *causeView, p period) {
	as := &answers{ctx: ctx}
	wide := period{From: p.From.Add(-p.length() / 2), To: p.To}
	results := map[int]*answer[[]rhumb.Series]{}
	for i, e := range c.WhyCause.Evidence {
		if e.Expr != "" && len(results) < evidenceCharts {
			results[i] = askOver(s, as, e.Expr, wide)
		}
	}
	as.wait()
	for i, e := range c.WhyCause.Evidence {
		row := evidenceRow{Evidence: e}
		if a := results[i]; a != nil {
			base := chart.Line{From: wide.From, To: wide.To, Gap: 4 * wide.step(chartPoints), Zone: time.Local, Height: 90,
				Marks: []chart.Mark{{At: c.At, Label: string(c.Kind), Title: c.Text}}}
			drawn := drawn(base, cut(200, e.Text), "", unitOf(e.Expr), a, labelOf(a.Is), c.Release)
			row.Chart, row.Err = &drawn.Line, a.Err
		}
		c.Evidence = append(c.Evidence, row)
	}
}
