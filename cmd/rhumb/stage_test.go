package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// stage is a scripted rhumb.Server: the image's name says what happens to a deployment. The stack "shop" exists from
// the start, at release 41.
type stage struct {
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	events  []rhumb.Event
	all     []rhumb.Deployment
	values  map[string]string
	origin  string // of the last release
	*kept
	*measured
	banBook
}

// hoursAgo returns a time so long ago that tables always print the same age.
func hoursAgo(n int) time.Time { return time.Now().Add(-time.Duration(n)*time.Hour - time.Minute) }

func newStage() *stage {
	values := map[string]string{"token": "t"}
	s := &stage{kept: newKept(), measured: newMeasured(), changed: make(chan struct{}), values: values}
	s.all = []rhumb.Deployment{
		{ID: 1, Stack: "shop", Cause: rhumb.CauseDeploy, From: 40, To: 41, By: "ada@laptop",
			Started: hoursAgo(3), Ended: hoursAgo(3), Phase: rhumb.PhaseConverged},
	}
	return s
}

// send sends an event to all that follow.
func (s *stage) send(e rhumb.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.ID, e.At = int64(len(s.events)+1), time.Now()
	s.events = append(s.events, e)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stage) save(d rhumb.Deployment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[d.ID-1] = d
}

func (s *stage) begin(d rhumb.Deployment) rhumb.Deployment {
	s.mu.Lock()
	d.ID, d.Started, d.Phase, d.From = int64(len(s.all)+1), time.Now(), rhumb.PhaseRolling, 41
	s.all = append(s.all, d)
	s.mu.Unlock()
	s.send(rhumb.Event{Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Release: d.To, Phase: d.Phase,
		By: d.By, Text: fmt.Sprintf("%s: release %d to release %d", d.Cause, d.From, d.To)})
	return d
}

// end ends a deployment in a phase, after a rollback if the phase needs one.
func (s *stage) end(d rhumb.Deployment, phase rhumb.Phase, why string) {
	if phase == rhumb.PhaseRolledBack || phase == rhumb.PhaseStuck {
		must(d.Move(rhumb.PhaseRollingBack, time.Now(), why))
		s.send(rhumb.Event{Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Phase: d.Phase, Text: why})
	}
	must(d.Move(phase, time.Now(), why))
	s.save(d)
	s.send(rhumb.Event{Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Release: d.To, Phase: phase,
		Text: d.Verdict().Text})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *stage) replica(d rhumb.Deployment, service string, kinds ...rhumb.EventKind) {
	for _, k := range kinds {
		s.send(rhumb.Event{Kind: k, Stack: d.Stack, Deployment: d.ID, Service: service,
			Replica: rhumb.ReplicaName(d.Stack, service, d.To, 1), Slot: 1, Release: d.To})
	}
}

// play plays a scenario of a deployment: "ok", "fails", "stuck", "paused", "incomplete", "slow" (it goes on) or
// "hang" (the request is never answered).
func (s *stage) play(d rhumb.Deployment, service, scenario string) {
	s.replica(d, service, rhumb.EventStarting, rhumb.EventStarted)
	card := rhumb.Failure{At: time.Now(), Service: service, Slot: 1, Release: d.To,
		Replica: rhumb.ReplicaName(d.Stack, service, d.To, 1),
		Reason:  "exited with 1 before it was ready", ExitCode: 1, Health: "connection refused",
		Logs: []string{"Traceback:", "  KeyError: 'DATABASE_URL'"},
		Hint: "rhumb run " + service + " starts it by hand"}
	if scenario == "hang" {
		return
	}
	if scenario != "ok" && scenario != "slow" {
		d.Failures = append(d.Failures, card)
		s.send(rhumb.Event{Kind: rhumb.EventFailed, Stack: d.Stack, Deployment: d.ID, Service: service,
			Replica: card.Replica, Release: d.To, Failure: &card})
	}
	why := service + ".1 " + card.Reason
	switch scenario {
	case "slow":
		return
	case "fails":
		d.Jobs = []string{"migrate"}
		s.end(d, rhumb.PhaseRolledBack, why)
	case "stuck":
		d.Left = []string{"shop-web.41.1 does not start"}
		s.end(d, rhumb.PhaseStuck, why)
	case "paused":
		s.end(d, rhumb.PhasePaused, why)
	case "incomplete":
		d.Left = []string{"web.1"}
		s.end(d, rhumb.PhaseIncomplete, why)
	default:
		s.replica(d, service, rhumb.EventReady)
		s.end(d, rhumb.PhaseConverged, "")
	}
}

func (s *stage) Deploy(ctx context.Context, r rhumb.DeployRequest,
	progress func(rhumb.Event)) (rhumb.Deployment, error) {
	svc := r.Model.Services[0]
	scenario, _, _ := strings.Cut(svc.Container.Image, ":")
	scenario = strings.TrimPrefix(scenario, r.Model.Name+"-")
	switch scenario {
	case "same":
		return rhumb.Deployment{Stack: r.Model.Name, From: 41, To: 41, Phase: rhumb.PhaseConverged}, nil
	case "locked":
		return rhumb.Deployment{}, rhumb.Errorf(rhumb.Locked, "%s: deployment 7 goes on, by ada@laptop, since 12:01",
			r.Model.Name).WithHint("wait for it with --wait-lock")
	case "broken":
		return rhumb.Deployment{}, rhumb.Errors{
			{Code: rhumb.Invalid, Msg: "service web: no such port", At: "compose.yaml:4", Hint: "look"},
			{Code: rhumb.Invalid, Msg: "service db: no such volume", At: "compose.yaml:9"}}
	}
	for _, done := range []int64{0, 5_000_000, 10_000_000} {
		progress(rhumb.Event{Kind: rhumb.EventPull, Stack: r.Model.Name, Service: svc.Name, Text: svc.Container.Image,
			Done: done, Total: 10_000_000})
	}
	s.mu.Lock()
	s.origin = r.Origin
	s.mu.Unlock()
	d := s.begin(rhumb.Deployment{Stack: r.Model.Name, Cause: rhumb.CauseDeploy, To: 42, By: r.By, Request: r.ID})
	s.play(d, svc.Name, scenario)
	if scenario == "hang" {
		<-ctx.Done()
		return rhumb.Deployment{}, ctx.Err()
	}
	return d, nil
}

func (s *stage) Plan(_ context.Context, r rhumb.DeployRequest) (rhumb.Plan, error) {
	p := rhumb.Plan{Stack: r.Model.Name, From: 41, To: 42, Notes: r.Model.Notes}
	switch r.Model.Services[0].Container.Image {
	case "same:1":
		return p, nil
	case "limited:1":
		p.Changes = []rhumb.Difference{{Service: "web", Verb: "changed", What: []string{"limits"}}}
		return p, nil
	}
	p.Changes = []rhumb.Difference{
		{Service: "web", Verb: "changed", What: []string{"image", "environment A"}, Order: rhumb.StopFirst,
			Why: "mounts volume data read-write"},
		{Service: "old", Verb: "removed", Order: rhumb.StartFirst}}
	p.Steps = []rhumb.Step{
		{Kind: rhumb.StepStart, Stack: p.Stack, Service: "web", Release: 42, Slot: 1, Why: "image changed"},
		{Kind: rhumb.StepStop, Stack: p.Stack, Service: "old", Release: 41, Slot: 1}}
	return p, nil
}

func (s *stage) Change(_ context.Context, r rhumb.ChangeRequest) (rhumb.Deployment, error) {
	to := map[rhumb.Cause]int{rhumb.CauseDown: 0, rhumb.CauseRollback: 40}
	n, known := to[r.Cause]
	if !known {
		n = 42
	}
	if r.Release != 0 {
		n = r.Release
	}
	if _, ok := r.Scale["nope"]; ok {
		return rhumb.Deployment{}, rhumb.Errorf(rhumb.NotFound, "%s has no service %q", r.Stack, "nope")
	}
	if r.Stack == "never" {
		return rhumb.Deployment{}, rhumb.Errorf(rhumb.NotFound, "stack never isn't deployed")
	}
	d := s.begin(rhumb.Deployment{Stack: r.Stack, Cause: r.Cause, To: n, By: r.By, Request: r.ID, Volumes: r.Volumes})
	if r.Cause == rhumb.CauseDown && !r.Volumes {
		d.Kept = []string{"shop_data", "shop_media"}
	}
	s.end(d, rhumb.PhaseConverged, "")
	return d, nil
}

func (s *stage) PlanChange(_ context.Context, r rhumb.ChangeRequest) (rhumb.Plan, error) {
	return rhumb.Plan{Stack: r.Stack, From: 41, To: 42,
		Changes: []rhumb.Difference{{Service: "web", Verb: "changed", What: []string{"replicas 1 -> 3"}}},
		Steps:   []rhumb.Step{{Kind: rhumb.StepStart, Stack: r.Stack, Service: "web", Release: 41, Slot: 2}}}, nil
}

func (s *stage) Cancel(_ context.Context, stack string, id int64, by string) error {
	d, err := s.Deployment(context.Background(), stack, id)
	if err != nil {
		return err
	}
	d.Cancel = true
	s.end(d, rhumb.PhaseRolledBack, "cancelled by a person")
	return nil
}

func (s *stage) Deployment(_ context.Context, stack string, id int64) (rhumb.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range slices.Backward(s.all) {
		if d.Stack == stack && (id == 0 || d.ID == id) {
			return d, nil
		}
	}
	return rhumb.Deployment{}, rhumb.Errorf(rhumb.NotFound, "%s has no deployment %d", stack, id)
}

func (s *stage) Deployments(context.Context, string, int) ([]rhumb.Deployment, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.all), nil
}
