package web

import (
	"cmp"
	"context"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"rhumb"
)

// deploymentView is the data of the page of one deployment.
type deploymentView struct {
	deploymentRow
	Verdict  rhumb.Verdict
	Open     bool
	Last     bool // no deployment of the stack came after it
	Steps    []stepRow
	Done     int           // of the steps
	Sides    []side        // the replicas, by service: old and new
	Cards    []failureCard // why replicas failed
	Changes  []rhumb.Difference
	Losses   []loss
	Unserved uint64
	Unknown  bool // whether anything was lost isn't known
	Events   error
	Back     int // the release to roll back to, if it is the last one and converged; 0: none
}

// side is a service's replicas while it changes.
type side struct {
	Service  string
	Old, New []replicaDot
}

// loss is what one service couldn't serve meanwhile.
type loss struct {
	Service string
	N       uint64
}

// failureCard is one reason for which replicas failed.
type failureCard struct {
	rhumb.Failure
	Name  string
	Times int      // how often a replica failed in this way
	Also  []string // the other replicas that did
}

// deploymentPage shows one deployment, as it goes.
func deploymentPage(s *server, r *http.Request) (view, error) {
	name := r.PathValue("stack")
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil || id <= 0 {
		return view{}, rhumb.Errorf(rhumb.NotFound, "there is no deployment %s", cut(40, r.PathValue("id")))
	}
	as := &answers{ctx: r.Context()}
	dep := ask(as, func(ctx context.Context) (rhumb.Deployment, error) { return s.History.Deployment(ctx, name, id) })
	status := ask(as, func(ctx context.Context) (rhumb.StackInfo, error) { return s.Stacks.Status(ctx, name) })
	releases := ask(as, func(ctx context.Context) ([]rhumb.ReleaseInfo, error) { return s.History.Releases(ctx, name) })
	routes := ask(as, s.Traffic.Routes)
	events := ask(as, func(ctx context.Context) ([]rhumb.Event, error) {
		return s.eventsOf(ctx, rhumb.EventFilter{Stack: name, Deployment: id, Limit: maxSteps})
	})
	as.wait()
	if dep.Err != nil {
		return view{}, dep.Err
	}
	d := dep.Is
	v := &deploymentView{deploymentRow: deploymentRow{Deployment: d, Standing: standingOfDeployment(d)},
		Verdict: d.Verdict(), Open: !d.Phase.Ended(), Events: events.Err, Cards: cardsOf(d)}
	for _, rel := range releases.Is {
		if rel.Number == d.To {
			v.Release = rel
		}
	}
	v.Steps = stepsOf(events.Is, v.Open)
	for _, st := range v.Steps {
		v.Done += b2i(st.Tone != "now")
	}
	if newest := status.Is.Deployment; newest != nil && newest.ID == d.ID {
		v.Last = true
		v.Sides = sidesOf(status.Is, d)
		if d.Phase == rhumb.PhaseConverged && d.From > 0 && d.To > 0 {
			v.Back = d.From
		}
	}
	v.addLosses(d, routes)
	v.Changes = changesOf(s, r.Context(), d)
	out := view{Title: "Deployment " + strconv.FormatInt(id, 10) + " of " + name, Here: "/stacks", Page: v}
	if v.Open {
		out.Live = liveAt(name, rhumb.MeasureEvery)
	}
	return out, nil
}

// changesOf returns how the deployment's releases differ; nil if that can't be known any more.
func changesOf(s *server, ctx context.Context, d rhumb.Deployment) []rhumb.Difference {
	if d.From == 0 || d.To == 0 || d.From == d.To {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	changes, err := s.History.Diff(ctx, d.Stack, d.From, d.To)
	if err != nil {
		return nil // an old release was pruned, most likely; the deployment itself is shown
	}
	return changes
}

// addLosses adds what wasn't served: as it was recorded, or while the deployment is open as the proxy counts it.
func (v *deploymentView) addLosses(d rhumb.Deployment, routes *answer[rhumb.RouterStatus]) {
	lost := d.Unserved
	if v.Open {
		v.Unknown = routes.Err != nil
		lost = lostSince(d, routes.Is)
	}
	v.Unknown = v.Unknown || d.Before.Proxy.IsZero() && len(lost) == 0
	for service, n := range lost {
		v.Unserved += n
		v.Losses = append(v.Losses, loss{service, n})
	}
	slices.SortFunc(v.Losses, func(a, b loss) int { return cmp.Compare(b.N, a.N) })
}

// lostSince returns, by service, what the proxy couldn't serve since a deployment began.
func lostSince(d rhumb.Deployment, st rhumb.RouterStatus) map[string]uint64 {
	lost := map[string]uint64{}
	for _, b := range st.Table.Backends {
		if n := st.Backends[b.Name].Lost(); b.Stack == d.Stack && n > 0 {
			lost[b.Service] += n
		}
	}
	for service, n := range d.Before.Unserved {
		if st.Started.Equal(d.Before.Proxy) {
			lost[service] -= min(n, lost[service])
		}
	}
	for service, n := range lost {
		if n == 0 {
			delete(lost, service)
		}
	}
	return lost
}

// sidesOf returns the replicas of each service: those of the release that the deployment comes from, and all others.
func sidesOf(st rhumb.StackInfo, d rhumb.Deployment) []side {
	var sides []side
	for _, svc := range st.Services {
		sd := side{Service: svc.Name}
		for _, dot := range dotsOf(svc) {
			if r := dot.Replica.Release; r == d.To || r > d.From {
				sd.New = append(sd.New, dot)
			} else {
				sd.Old = append(sd.Old, dot)
			}
		}
		sides = append(sides, sd)
	}
	return sides
}

// cardsOf returns one card for each reason for which replicas failed.
func cardsOf(d rhumb.Deployment) []failureCard {
	var cards []failureCard
	seen := map[string]int{}
	for _, f := range d.Failures {
		name := cmp.Or(f.Replica, rhumb.ReplicaName(d.Stack, f.Service, f.Release, f.Slot))
		key := f.Service + "\x00" + digits.ReplaceAllString(f.Reason, "")
		i, ok := seen[key]
		if !ok {
			seen[key] = len(cards)
			f.Logs = f.Logs[max(0, len(f.Logs)-20):]
			cards = append(cards, failureCard{Failure: f, Name: name, Times: 1})
			continue
		}
		c := &cards[i]
		c.Times++
		if name != c.Name && !slices.Contains(c.Also, name) {
			c.Also = append(c.Also, name)
		}
	}
	return cards[:min(len(cards), 8)]
}

// digits differ between failures that are alike: "not ready after 10.2s".
var digits = regexp.MustCompile(`[0-9]+`)

// Text returns the card's lines as one text, without escape sequences.
func (c failureCard) Text() string {
	var text string
	for _, l := range c.Logs {
		text += plain(cut(500, l)) + "\n"
	}
	return text
}

// Running returns how long the deployment has been going on.
func (v *deploymentView) Running(now time.Time) time.Duration { return now.Sub(v.Started) }

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
