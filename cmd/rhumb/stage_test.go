package main

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// stage is a scripted rhumb.Server: what happens to a deployment is written in its image's name. The stack "shop" is there from the start,
// at release 41.
type stage struct {
	mu      sync.Mutex
	changed chan struct{} // closed and made anew at each change
	events  []rhumb.Event
	all     []rhumb.Deployment
	values  map[string]string
	origin  string // of the last release
}

// long ago, so that tables tell the same time whenever they are printed
func hoursAgo(n int) time.Time { return time.Now().Add(-time.Duration(n)*time.Hour - time.Minute) }

func newStage() *stage {
	return &stage{changed: make(chan struct{}), values: map[string]string{"token": "t"}, all: []rhumb.Deployment{
		{ID: 1, Stack: "shop", Cause: rhumb.CauseDeploy, From: 40, To: 41, By: "ada@laptop", Started: hoursAgo(3), Ended: hoursAgo(3), Phase: rhumb.PhaseConverged},
	}}
}

func (s *stage) tell(e rhumb.Event) {
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
	s.tell(rhumb.Event{Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Release: d.To, Phase: d.Phase, By: d.By,
		Text: fmt.Sprintf("%s: release %d to release %d", d.Cause, d.From, d.To)})
	return d
}

// end brings a deployment to its end, over a rollback if it ends there.
func (s *stage) end(d rhumb.Deployment, phase rhumb.Phase, why string) {
	if phase == rhumb.PhaseRolledBack || phase == rhumb.PhaseStuck {
		must(d.Move(rhumb.PhaseRollingBack, time.Now(), why))
		s.tell(rhumb.Event{Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Phase: d.Phase, Text: why})
	}
	must(d.Move(phase, time.Now(), why))
	s.save(d)
	s.tell(rhumb.Event{Kind: rhumb.EventDeployment, Stack: d.Stack, Deployment: d.ID, Release: d.To, Phase: phase, Text: d.Verdict().Text})
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func (s *stage) replica(d rhumb.Deployment, service string, kinds ...rhumb.EventKind) {
	for _, k := range kinds {
		s.tell(rhumb.Event{Kind: k, Stack: d.Stack, Deployment: d.ID, Service: service, Replica: rhumb.ReplicaName(d.Stack, service, d.To, 1), Slot: 1, Release: d.To})
	}
}

// play lets a deployment happen as its scenario says: "ok", "fails", "stuck", "paused", "incomplete", "slow" (it goes on) or "hang" (and the
// answer never comes).
func (s *stage) play(d rhumb.Deployment, service, scenario string) {
	s.replica(d, service, rhumb.EventStarting, rhumb.EventStarted)
	card := rhumb.Failure{At: time.Now(), Service: service, Slot: 1, Release: d.To, Replica: rhumb.ReplicaName(d.Stack, service, d.To, 1),
		Reason: "exited with 1 before it was ready", ExitCode: 1, Health: "connection refused", Logs: []string{"Traceback:", "  KeyError: 'DATABASE_URL'"},
		Hint: "rhumb run " + service + " starts it by hand"}
	if scenario == "hang" {
		return
	}
	if scenario != "ok" && scenario != "slow" {
		d.Failures = append(d.Failures, card)
		s.tell(rhumb.Event{Kind: rhumb.EventFailed, Stack: d.Stack, Deployment: d.ID, Service: service, Replica: card.Replica, Release: d.To, Failure: &card})
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

func (s *stage) Deploy(ctx context.Context, r rhumb.DeployRequest, progress func(rhumb.Event)) (rhumb.Deployment, error) {
	svc := r.Model.Services[0]
	scenario, _, _ := strings.Cut(svc.Container.Image, ":")
	scenario = strings.TrimPrefix(scenario, r.Model.Name+"-")
	switch scenario {
	case "same":
		return rhumb.Deployment{Stack: r.Model.Name, From: 41, To: 41, Phase: rhumb.PhaseConverged}, nil
	case "locked":
		return rhumb.Deployment{}, rhumb.Errorf(rhumb.Locked, "%s: deployment 7 goes on, by ada@laptop, since 12:01", r.Model.Name).WithHint("wait for it with --wait-lock")
	case "broken":
		return rhumb.Deployment{}, rhumb.Errors{{Code: rhumb.Invalid, Msg: "service web: no such port", At: "compose.yaml:4", Hint: "look"}, {Code: rhumb.Invalid, Msg: "service db: no such volume", At: "compose.yaml:9"}}
	}
	for _, done := range []int64{0, 5_000_000, 10_000_000} {
		progress(rhumb.Event{Kind: rhumb.EventPull, Stack: r.Model.Name, Service: svc.Name, Text: svc.Container.Image, Done: done, Total: 10_000_000})
	}
	s.mu.Lock()
	s.origin = r.Origin
	s.mu.Unlock()
	d := s.begin(rhumb.Deployment{Stack: r.Model.Name, Cause: rhumb.CauseDeploy, To: 42, By: r.By})
	s.play(d, svc.Name, scenario)
	if scenario == "hang" {
		<-ctx.Done()
		return rhumb.Deployment{}, ctx.Err()
	}
	return d, nil
}

func (s *stage) Plan(_ context.Context, r rhumb.DeployRequest) (rhumb.Plan, error) {
	p := rhumb.Plan{Stack: r.Model.Name, From: 41, To: 42, Notes: r.Model.Notes}
	if r.Model.Services[0].Container.Image == "same:1" {
		return p, nil
	}
	p.Changes = []rhumb.Difference{{Service: "web", Verb: "changed", What: []string{"image", "environment A"}, Order: rhumb.StopFirst, Why: "mounts volume data read-write"},
		{Service: "old", Verb: "removed", Order: rhumb.StartFirst}}
	p.Steps = []rhumb.Step{{Kind: rhumb.StepStart, Stack: p.Stack, Service: "web", Release: 42, Slot: 1, Why: "image changed"},
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
	d := s.begin(rhumb.Deployment{Stack: r.Stack, Cause: r.Cause, To: n, By: r.By, Volumes: r.Volumes})
	if r.Cause == rhumb.CauseDown && !r.Volumes {
		d.Kept = []string{"shop_data", "shop_media"}
	}
	s.end(d, rhumb.PhaseConverged, "")
	return d, nil
}

func (s *stage) PlanChange(_ context.Context, r rhumb.ChangeRequest) (rhumb.Plan, error) {
	return rhumb.Plan{Stack: r.Stack, From: 41, To: 42, Changes: []rhumb.Difference{{Service: "web", Verb: "changed", What: []string{"replicas 1 -> 3"}}},
		Steps: []rhumb.Step{{Kind: rhumb.StepStart, Stack: r.Stack, Service: "web", Release: 41, Slot: 2}}}, nil
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
	return s.all, nil
}

func (s *stage) Info(context.Context) (rhumb.ServerInfo, error) {
	return rhumb.ServerInfo{Version: "1.2.3", Started: hoursAgo(5), Data: "/var/lib/rhumb", Proxy: true,
		Engine: rhumb.EngineInfo{Name: "Docker Engine", Version: "20.10.24", APIVersion: "1.41", OS: "linux", Arch: "amd64", CPUs: 2, Memory: 8e9}}, nil
}

func (s *stage) Stacks(ctx context.Context) ([]rhumb.StackInfo, error) {
	st, err := s.Status(ctx, "shop")
	return []rhumb.StackInfo{st}, err
}

func (s *stage) Status(ctx context.Context, stack string) (rhumb.StackInfo, error) {
	if stack != "shop" {
		return rhumb.StackInfo{}, rhumb.Errorf(rhumb.NotFound, "stack %s isn't deployed", stack).WithHint("rhumb stacks lists those that are")
	}
	d, err := s.Deployment(ctx, stack, 0)
	if err != nil {
		return rhumb.StackInfo{}, err
	}
	replica := func(service string, slot int, state rhumb.ReplicaState, words string) rhumb.ReplicaStatus {
		return rhumb.ReplicaStatus{Replica: rhumb.Replica{ID: "id", Stack: stack, Service: service, Release: 41, Slot: slot, State: state},
			Name: rhumb.ReplicaName(stack, service, 41, slot), Ready: state == rhumb.StateRunning, Status: words}
	}
	web := []rhumb.ReplicaStatus{replica("web", 1, rhumb.StateRunning, "draining, 3 open"), replica("web", 2, rhumb.StateExited, "exited (1), again in 8s")}
	web[0].Routed, web[0].Open = "draining", 3
	return rhumb.StackInfo{Name: stack, Release: 41, Deployment: &d, Services: []rhumb.ServiceStatus{
		{Name: "db", Image: "sha256:0123456789abcdef0123", Replicas: 1, Ready: 1, Slots: []rhumb.ReplicaStatus{replica("db", 1, rhumb.StateRunning, "ready for 3h")}},
		{Name: "idle", Image: "x:1"},
		{Name: "migrate", Image: "x:1", Replicas: 1, Job: true},
		{Name: "web", Image: "web:1", Replicas: 2, Ready: 1, Address: []string{"*:80/tcp", "shop.example.com/"}, Slots: web,
			Waiting: 3, Waited: 2 * time.Second},
	}}, nil
}

func (s *stage) Releases(_ context.Context, stack string) ([]rhumb.ReleaseInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return []rhumb.ReleaseInfo{
		{Stack: stack, Number: 41, Origin: s.origin, At: hoursAgo(3), By: "ada@laptop", Cause: rhumb.CauseDeploy, Served: true, Current: true, Git: rhumb.Git{Commit: "1f3c9a2b77", Dirty: true}},
		{Stack: stack, Number: 40, At: hoursAgo(90), By: "bob@desk", Cause: rhumb.CauseScale, Served: true, Note: "scale web=3"},
		{Stack: stack, Number: 39, At: hoursAgo(91), By: "bob@desk", Cause: rhumb.CauseDeploy},
	}, nil
}

func (s *stage) Diff(_ context.Context, _ string, a, b int) ([]rhumb.Difference, error) {
	if a == b {
		return nil, nil
	}
	return []rhumb.Difference{{Service: "web", Verb: "changed", What: []string{"environment A"}}, {Service: "new", Verb: "added"}}, nil
}

func (s *stage) Routes(context.Context) (rhumb.RouterStatus, error) {
	return rhumb.RouterStatus{Table: rhumb.Table{Version: 3,
		Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort("[::]:80"), Protocol: rhumb.HTTP}, {Addr: netip.MustParseAddrPort("127.0.0.1:5432"), Protocol: rhumb.TCP, Backend: "shop/db:5432"}},
		Rules:     []rhumb.Rule{{Host: "shop.example.com", Backend: "shop/web:80"}, {Path: "/api", Backend: "shop/web:80"}},
		Backends: []rhumb.Backend{{Name: "shop/db:5432", Stack: "shop"}, {Name: "shop/web:80", Stack: "shop", Service: "web", Endpoints: []rhumb.Endpoint{
			{Replica: "a"}, {Replica: "b", Draining: true}}}},
		Segments: []rhumb.Segment{{Network: "shop_default", Stack: "shop", Services: []rhumb.ServiceAddress{
			{Service: "db", Addr: netip.MustParseAddr("172.18.200.7"), Gap: time.Now().Add(time.Minute)},
			{Service: "web", Addr: netip.MustParseAddr("172.18.128.9"), Endpoints: []rhumb.Endpoint{{Replica: "a"}, {Replica: "b", Draining: true}}}}}}},
		Open:     map[string]int{"a": 2, "b": 1},
		Backends: map[string]rhumb.BackendStats{"shop/web:80": {Waiting: 3, WaitingSince: time.Now().Add(-2 * time.Second), Releases: map[int]rhumb.ReleaseStats{41: {Served: 10, Errors: 1, Latency: 20 * time.Millisecond}}}}}, nil
}

func (s *stage) Certificates(context.Context) ([]rhumb.CertificateStatus, error) {
	return []rhumb.CertificateStatus{
		{Host: "app.internal", Source: rhumb.CertInternal, Stack: "shop", Issuer: "Rhumb internal authority", NotAfter: time.Now().Add(80*24*time.Hour + time.Minute)},
		{Host: "shop.example.com", Source: rhumb.CertACME, Stack: "shop", Error: "connection refused", Failed: hoursAgo(1), Next: time.Now().Add(30*time.Minute + time.Second)},
	}, nil
}

func (s *stage) RootCertificate(context.Context) (string, error) {
	return "-----BEGIN CERTIFICATE-----\n", nil
}

func (s *stage) Events(ctx context.Context, f rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return func(yield func(rhumb.Event, error) bool) {
		for {
			s.mu.Lock()
			stored, changed := slices.Clone(s.events), s.changed
			s.mu.Unlock()
			for _, e := range stored {
				if e.ID <= f.After || f.Deployment != 0 && e.Deployment != f.Deployment {
					continue
				}
				f.After = e.ID
				if !yield(e, nil) {
					return
				}
			}
			if !f.Follow {
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}
}

func (s *stage) Logs(_ context.Context, stack string, services []string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		for i, service := range []string{"web", "db", "web", "db"} {
			if len(services) > 0 && !slices.Contains(services, service) || o.Tail < 0 {
				continue
			}
			l := rhumb.LogLine{Time: at.Add(time.Duration(i) * time.Second), Stack: stack, Service: service, Replica: rhumb.ReplicaName(stack, service, 41, 1), Text: fmt.Sprintf("line %d", i)}
			if !yield(l, nil) {
				return
			}
		}
	}
}

// Exec is "cat", "fail", "obey" or "ignore" (signals), or anything: then it tells how it was called.
func (s *stage) Exec(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
	switch o.Command[0] {
	case "cat":
		lines := bufio.NewScanner(o.Streams.In)
		for lines.Scan() {
			fmt.Fprintln(o.Streams.Out, lines.Text())
		}
		fmt.Fprintln(o.Streams.Err, "done")
		return 0, nil
	case "fail":
		return 42, nil
	case "obey", "ignore":
		s.tell(rhumb.Event{Kind: rhumb.EventStarted, Stack: stack, Service: service})
		sig := <-o.Streams.Signals
		s.tell(rhumb.Event{Kind: rhumb.EventStopped, Stack: stack, Service: service})
		if o.Command[0] == "obey" {
			fmt.Fprintln(o.Streams.Out, sig)
			return 7, nil
		}
		<-ctx.Done()
		return 0, ctx.Err()
	}
	fmt.Fprintf(o.Streams.Out, "%s/%s slot %d, %v in %q as %q with %v\n", stack, service, slot, o.Command, o.WorkingDir, o.User, o.Env)
	return 0, nil
}

func (s *stage) Run(ctx context.Context, stack, service string, o rhumb.ExecOptions) (int, error) {
	if len(o.Command) == 0 {
		o.Command = []string{"its own"}
	}
	if o.Release != 0 {
		service += fmt.Sprintf(" of release %d", o.Release)
	}
	return s.Exec(ctx, stack, service, 0, o)
}
