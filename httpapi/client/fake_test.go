package client_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"net/netip"
	"syscall"
	"time"

	"rhumb"
)

// fake is a scripted rhumb.Server: it notes what it is asked, and answers with full values or with err.
type fake struct {
	err   error // what every call answers with, after it has said what it streams
	asked []any
}

func (f *fake) note(args ...any) { f.asked = append(f.asked, args...) }

var (
	noon       = time.Date(2026, 11, 21, 12, 0, 0, 123456789, time.UTC)
	deployment = rhumb.Deployment{ID: 7, Stack: "shop", Cause: rhumb.CauseDeploy, From: 41, To: 42, By: "ada@laptop",
		Started: noon, Ended: noon.Add(time.Minute),
		Phase: rhumb.PhaseRolledBack, Why: "web failed", Jobs: []string{"migrate"}, Left: []string{"shop-web.42.1"},
		Cancel: true, Rev: 9,
		Failures: []rhumb.Failure{{At: noon, Service: "web", Slot: 1, Release: 42, Replica: "shop-web.42.1", ID: "abc",
			Reason: "exited with 1", ExitCode: 1, OOM: true,
			Health: "no", Logs: []string{"a", "<b> & \u2028"}, Hint: "look"}}}
	event = rhumb.Event{ID: 5, At: noon, Kind: rhumb.EventFailed, Stack: "shop", Deployment: 7, Service: "web",
		Replica: "shop-web.42.1", Slot: 1, Release: 42,
		Phase: rhumb.PhaseRolling, By: "ada", Text: "it failed", Failure: &deployment.Failures[0]}
	plan = rhumb.Plan{Stack: "shop", From: 41, To: 42,
		Changes: []rhumb.Difference{{Service: "web", Verb: "changed", What: []string{"image"}, Order: rhumb.StopFirst,
			Why: "mounts"}},
		Steps: []rhumb.Step{{Kind: rhumb.StepStart, Stack: "shop", Service: "web", Release: 42, Slot: 1,
			Why: "image changed"}},
		Notes: []rhumb.Note{{At: "compose.yaml:3", Subject: "services.web.container_name", Fate: rhumb.Emulated,
			Why: "names"}}}
	info = rhumb.StackInfo{Name: "shop", Release: 42, Deployment: &deployment,
		Services: []rhumb.ServiceStatus{{Name: "web", Image: "web:1", Replicas: 2, Ready: 1,
			Order: rhumb.StartFirst, Address: []string{"*:80/tcp"},
			Slots: []rhumb.ReplicaStatus{{Name: "shop-web.42.1", Ready: true, Routed: "active", Open: 3, Status: "ready for 3m",
				Replica: rhumb.Replica{ID: "abc", Stack: "shop", Service: "web", Release: 42, Slot: 1, State: rhumb.StateRunning,
					Health: rhumb.HealthHealthy, Started: noon,
					Addrs: map[string]netip.Addr{"shop_default": netip.MustParseAddr("172.18.0.2")}}}}}}}
	routes = rhumb.RouterStatus{Table: rhumb.Table{Version: 3,
		Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort("[::]:80"), Protocol: rhumb.HTTP}},
		Backends: []rhumb.Backend{{Name: "shop/web:80",
			Endpoints: []rhumb.Endpoint{{Replica: "abc", Addr: netip.MustParseAddrPort("172.18.0.2:80"), Draining: true,
				Since: noon}}}}},
		Open: map[string]int{"abc": 2},
		Backends: map[string]rhumb.BackendStats{"shop/web:80": {
			Releases: map[int]rhumb.ReleaseStats{42: {Served: 1 << 60, Latency: time.Second}}}},
		Started: noon, PID: 99}
	image = rhumb.Image{Ref: "shop-web:1", ID: "sha256:1", Size: 12, Ports: []string{"80/tcp"},
		Health: &rhumb.Healthcheck{Test: []string{"CMD", "x"}, Interval: time.Second}}
)

func (f *fake) Plan(_ context.Context, r rhumb.DeployRequest) (rhumb.Plan, error) {
	f.note(r)
	return zeroIf(f.err, plan), f.err
}

func (f *fake) Deploy(_ context.Context, r rhumb.DeployRequest, progress func(rhumb.Event)) (rhumb.Deployment, error) {
	f.note(r)
	for i := range int64(3) {
		progress(rhumb.Event{Kind: rhumb.EventPull, Service: "web", Done: i, Total: 3})
	}
	return zeroIf(f.err, deployment), f.err
}

func (f *fake) Change(_ context.Context, r rhumb.ChangeRequest) (rhumb.Deployment, error) {
	f.note(r)
	return zeroIf(f.err, deployment), f.err
}

func (f *fake) PlanChange(_ context.Context, r rhumb.ChangeRequest) (rhumb.Plan, error) {
	f.note(r)
	return zeroIf(f.err, plan), f.err
}

func (f *fake) Cancel(_ context.Context, stack string, id int64, by string) error {
	f.note(stack, id, by)
	return f.err
}

func (f *fake) Deployment(_ context.Context, stack string, id int64) (rhumb.Deployment, error) {
	f.note(stack, id)
	return zeroIf(f.err, deployment), f.err
}

func (f *fake) Deployments(_ context.Context, stack string, limit int) ([]rhumb.Deployment, error) {
	f.note(stack, limit)
	return zeroIf(f.err, []rhumb.Deployment{deployment, {ID: 6}}), f.err
}

func (f *fake) Info(context.Context) (rhumb.ServerInfo, error) {
	return zeroIf(f.err, rhumb.ServerInfo{Version: "1", Started: noon, Data: "/d",
		Engine: rhumb.EngineInfo{Name: "Docker Engine", CPUs: 2, Memory: 1 << 33}, Proxy: true}), f.err
}

func (f *fake) Stacks(context.Context) ([]rhumb.StackInfo, error) {
	return zeroIf(f.err, []rhumb.StackInfo{info, {Name: "blog"}}), f.err
}

func (f *fake) Status(_ context.Context, stack string) (rhumb.StackInfo, error) {
	f.note(stack)
	return zeroIf(f.err, info), f.err
}

func (f *fake) Releases(_ context.Context, stack string) ([]rhumb.ReleaseInfo, error) {
	f.note(stack)
	return zeroIf(f.err, []rhumb.ReleaseInfo{{Stack: "shop", Number: 42, At: noon, By: "ada",
			Git: rhumb.Git{Commit: "abc", Dirty: true}, Cause: rhumb.CauseDeploy,
			Images: map[string]rhumb.Image{"web": image}, Specs: map[string]string{"web": "h"}, Served: true, Current: true}}),
		f.err
}

func (f *fake) Diff(_ context.Context, stack string, a, b int) ([]rhumb.Difference, error) {
	f.note(stack, a, b)
	return zeroIf(f.err, plan.Changes), f.err
}

func (f *fake) Routes(context.Context) (rhumb.RouterStatus, error) {
	return zeroIf(f.err, routes), f.err
}

func (f *fake) Certificates(context.Context) ([]rhumb.CertificateStatus, error) {
	return zeroIf(f.err, []rhumb.CertificateStatus{{Host: "shop.example.com", Source: rhumb.CertACME, Stack: "shop",
			Issuer:    "An Authority",
			NotBefore: noon, NotAfter: noon.Add(time.Hour), Error: "it is away", Failed: noon, Next: noon.Add(time.Minute)}}),
		f.err
}

func (f *fake) RootCertificate(context.Context) (string, error) {
	return zeroIf(f.err, "-----BEGIN CERTIFICATE-----\n"), f.err
}

func (f *fake) Events(ctx context.Context, filter rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return func(yield func(rhumb.Event, error) bool) {
		f.note(filter)
		for i := range int64(3) {
			e := event
			e.ID = i + 1
			if !yield(e, nil) {
				return
			}
		}
		if filter.Follow {
			<-ctx.Done()
			yield(rhumb.Event{}, ctx.Err())
			return
		}
		if f.err != nil {
			yield(rhumb.Event{}, f.err)
		}
	}
}

func (f *fake) Logs(_ context.Context, stack string, services []string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine,
	error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		f.note(stack, services, o)
		for i := range 3 {
			if !yield(rhumb.LogLine{Time: noon, Stack: stack, Service: "web", Replica: "shop-web.42.1", Stderr: i == 1,
				Text: fmt.Sprintf("line %d \"ü\" \xff", i)}, nil) {
				return
			}
		}
		if f.err != nil {
			yield(rhumb.LogLine{}, f.err)
		}
	}
}

func (f *fake) Lines(_ context.Context, q rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		f.note(q)
		for _, text := range []string{"plain", "", "\x00\xff\xfe not UTF-8 \x1b[31m", "\xff"} {
			if !yield(rhumb.LogLine{Time: noon, Stack: "shop", Service: "web", Replica: "shop-web.42.1", Text: text,
				Container: "abc", Release: 42, Kind: rhumb.LineAccess, Level: rhumb.LevelError,
				Fields: map[string]string{"a.b": "c"}, Cut: 9}, nil) {
				return
			}
		}
		if f.err != nil {
			yield(rhumb.LogLine{}, f.err)
		}
	}
}

func (f *fake) LogCounts(_ context.Context, q rhumb.LogQuery) ([]rhumb.LogCount, error) {
	f.note(q)
	return zeroIf(f.err, []rhumb.LogCount{{Stack: "shop", Service: "web", Release: 42, Lines: 1 << 40, Bytes: 7,
		Errors: 1, Dropped: 2, First: noon, Last: noon, Start: noon, Step: time.Hour, Bars: []int64{0, 5}}}), f.err
}

func (f *fake) LogDestinations(context.Context) ([]rhumb.LogDestination, error) {
	f.note()
	return zeroIf(f.err, []rhumb.LogDestination{
		{URL: "syslog://logs.example.com:601", Sent: 1 << 40, Lost: 1, WaitingLines: 2, WaitingBytes: 3, FailingSince: noon,
			LastError: "connection refused\n", LastErrorAt: noon},
		{URL: "gelf+udp://[::1]:12201"},
	}), f.err
}

func (f *fake) Exec(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
	return f.command(ctx, stack, service, slot, o)
}

func (f *fake) Run(ctx context.Context, stack, service string, o rhumb.ExecOptions) (int, error) {
	return f.command(ctx, stack, service, 0, o)
}

// command is "size", "wait" or anything: then it upcases its input, line by line, and ends with 42.
func (f *fake) command(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
	s := o.Streams
	o.Streams = rhumb.Streams{}
	f.note(stack, service, slot, o, s.In != nil, s.Out != nil, s.Err != nil)
	if f.err != nil {
		return 0, f.err
	}
	switch o.Command[0] {
	case "wait":
		fmt.Fprintln(s.Out, "waiting")
		<-ctx.Done()
		return 0, ctx.Err()
	case "size":
		size := <-s.Resize
		fmt.Fprintf(s.Out, "%dx%d\n", size.Rows, size.Cols)
		return 0, nil
	case "signal":
		sig := <-s.Signals
		fmt.Fprintln(s.Out, sig)
		return 128 + int(sig.(syscall.Signal)), nil
	case "deaf":
		return 3, nil
	}
	if s.In != nil {
		lines := bufio.NewScanner(s.In)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			fmt.Fprintf(s.Out, "out %s\n", lines.Text())
			if s.Err != nil {
				fmt.Fprintf(s.Err, "err %d\n", len(lines.Text()))
			}
		}
	}
	return 42, nil
}

func (f *fake) SetValue(_ context.Context, name string, content io.Reader) error {
	b, err := io.ReadAll(content)
	f.note(name, b, err)
	return f.err
}

func (f *fake) RemoveValue(_ context.Context, name string) error {
	f.note(name)
	return f.err
}

func (f *fake) Values(context.Context) ([]string, error) {
	return zeroIf(f.err, []string{"a", "b/c"}), f.err
}

func (f *fake) Build(_ context.Context, r rhumb.BuildRequest, tar io.Reader,
	progress func(rhumb.BuildProgress)) (rhumb.Image, error) {
	f.note(r)
	progress(rhumb.BuildProgress{Service: "web", Step: "[1/2] FROM x", Cached: true})
	if r.Name == "early" {
		return rhumb.Image{}, rhumb.Errorf(rhumb.Invalid, "Dockerfile:1: no such instruction").WithHint("look there")
	}
	n, err := io.Copy(io.Discard, tar)
	f.note(n, err)
	if err != nil {
		return rhumb.Image{}, err
	}
	progress(rhumb.BuildProgress{Service: "web", Step: "[2/2] RUN y", Done: true, Output: "ok"})
	return zeroIf(f.err, image), f.err
}

func zeroIf[T any](err error, v T) T {
	if err != nil {
		var zero T
		return zero
	}
	return v
}
