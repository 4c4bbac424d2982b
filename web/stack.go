package web

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"rhumb"
	"rhumb/web/chart"
)

// stackView is the data of the page of one stack.
type stackView struct {
	Name        string
	Stack       rhumb.StackInfo
	Standing    standing
	Release     rhumb.ReleaseInfo // the one that serves; zero: none, or unknown
	Since       time.Time         // when it began to serve; zero: unknown
	Last        *deploymentRow    // the open or last deployment
	Services    []serviceRow
	Replicas    int
	Deployments []deploymentRow
	Releases    []rhumb.ReleaseInfo
	Back        int // the release that a rollback would go to; 0: none
	History     error
	Alerts      []rhumb.Alert // firing and pending
	Traffic     figures       // of all services together
	Chart       chart.Line
	Lost        uint64 // in the shown deployments
}

// listed is how many deployments and releases the page of a stack lists.
const listed = 20

// stackPage shows one stack.
func stackPage(s *server, r *http.Request) (view, error) {
	name := r.PathValue("stack")
	as := &answers{ctx: r.Context()}
	status := ask(as, func(ctx context.Context) (rhumb.StackInfo, error) { return s.Stacks.Status(ctx, name) })
	deployments := ask(as, func(ctx context.Context) ([]rhumb.Deployment, error) {
		return s.History.Deployments(ctx, name, listed)
	})
	releases := ask(as, func(ctx context.Context) ([]rhumb.ReleaseInfo, error) { return s.History.Releases(ctx, name) })
	alerts := ask(as, func(ctx context.Context) ([]rhumb.Alert, error) { return s.Alerts.Alerts(ctx, name) })
	measured := askFigures(s, as, name)
	as.wait()
	out := view{Title: name, Here: "/stacks", Live: liveAt(name, rhumb.MeasureEvery)}
	switch {
	case away(status.Err):
		out.Away = status.Err
	case status.Err != nil:
		return view{}, status.Err
	}
	v := &stackView{Name: name, Stack: status.Is, Standing: standingOf(status.Is), Traffic: measured.total(),
		Chart: measured.chart(), History: cmp.Or(deployments.Err, releases.Err)}
	if out.Away != nil {
		v.Standing = standing{Word: "unknown"}
	}
	v.addHistory(deployments.Is, releases.Is)
	v.addServices(measured)
	for _, a := range alerts.Is {
		if a.State != rhumb.AlertResolved {
			v.Alerts = append(v.Alerts, a)
		}
	}
	v.Chart.From, v.Chart.To, v.Chart.Zone = s.now().Add(-trafficTime), s.now(), time.Local
	v.Chart.Marks = marksOf(deployments.Is, v.Chart.From)
	out.Page = v
	return out, nil
}

// addHistory adds what is known of the stack's deployments and releases.
func (v *stackView) addHistory(deployments []rhumb.Deployment, releases []rhumb.ReleaseInfo) {
	commits := map[int]rhumb.ReleaseInfo{}
	for _, r := range releases {
		commits[r.Number] = r
		if v.Back == 0 && r.Served && r.Number < v.Stack.Release {
			v.Back = r.Number
		}
	}
	v.Release = commits[v.Stack.Release]
	v.Releases = releases[:min(len(releases), listed)]
	if d := v.Stack.Deployment; d != nil {
		v.Last = &deploymentRow{Deployment: *d, Standing: standingOfDeployment(*d), Release: commits[d.To]}
	}
	for _, d := range deployments {
		row := deploymentRow{Deployment: d, Standing: standingOfDeployment(d), Release: commits[d.To], Lost: lostOf(d)}
		v.Lost += row.Lost
		v.Deployments = append(v.Deployments, row)
		if v.Since.IsZero() && d.Phase == rhumb.PhaseConverged && d.To == v.Stack.Release {
			v.Since = d.Ended
		}
	}
}

// addServices adds a row for each service. With the daemon away these are the services that were measured.
func (v *stackView) addServices(m *measured) {
	for _, svc := range v.Stack.Services {
		v.Replicas += len(svc.Slots)
		v.Services = append(v.Services, serviceRow{ServiceStatus: svc, figures: m.of(svc.Name), Dots: dotsOf(svc)})
	}
	if v.Stack.Name != "" {
		return
	}
	for _, name := range m.services() {
		v.Services = append(v.Services, serviceRow{ServiceStatus: rhumb.ServiceStatus{Name: name}, figures: m.of(name)})
	}
}

// serviceRow is one service.
type serviceRow struct {
	rhumb.ServiceStatus
	figures
	Dots []replicaDot
}

// replicaDot is one replica.
type replicaDot struct {
	Tone, Word, Title string
	Replica           rhumb.ReplicaStatus
}

// dotsOf returns the replicas of a service.
func dotsOf(svc rhumb.ServiceStatus) []replicaDot {
	var dots []replicaDot
	for _, r := range svc.Slots {
		st := standingOfReplica(r, svc.Job)
		dots = append(dots, replicaDot{Tone: st.Tone, Word: st.Word, Replica: r,
			Title: fmt.Sprintf("%s: %s", cut(80, shortName(r.Stack, r.Name)), cut(80, cmp.Or(r.Status, st.Word)))})
	}
	return dots
}

// deploymentRow is one deployment in a list.
type deploymentRow struct {
	rhumb.Deployment
	Standing standing
	Release  rhumb.ReleaseInfo // To; zero: unknown
	Lost     uint64
}

// Took returns how long the deployment took; 0 while it is open.
func (d deploymentRow) Took() time.Duration {
	if d.Ended.IsZero() {
		return 0
	}
	return d.Ended.Sub(d.Started)
}

// lostOf returns how many connections and requests weren't served during a deployment.
func lostOf(d rhumb.Deployment) uint64 {
	var n uint64
	for _, lost := range d.Unserved {
		n += lost
	}
	return n
}

// marksOf returns the deployments since a time, as marks in a chart.
func marksOf(deployments []rhumb.Deployment, since time.Time) []chart.Mark {
	var marks []chart.Mark
	for _, d := range deployments {
		if !d.Phase.Ended() || d.Ended.Before(since) {
			continue
		}
		m := chart.Mark{At: d.Ended, Label: fmt.Sprint(d.To), Title: d.Verdict().Text,
			Link: fmt.Sprintf("/stacks/%s/deployments/%d", urlPath(d.Stack), d.ID)}
		if d.To == 0 {
			m.Label = "down"
		}
		if st := standingOfDeployment(d); st.Tone != "ok" {
			m.Label, m.Bad = m.Label+" "+st.Word, true
		}
		marks = append(marks, m)
	}
	return marks
}
