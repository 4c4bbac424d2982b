package main

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"rhumb"
)

func (s *stage) Info(context.Context) (rhumb.ServerInfo, error) {
	return rhumb.ServerInfo{Version: "1.2.3", Started: hoursAgo(5), Data: "/var/lib/rhumb", Proxy: true,
		Engine: rhumb.EngineInfo{Name: "Docker Engine", Version: "20.10.24", APIVersion: "1.41", OS: "linux", Arch: "amd64",
			CPUs: 2, Memory: 8e9}}, nil
}

func (s *stage) Stacks(ctx context.Context) ([]rhumb.StackInfo, error) {
	st, err := s.Status(ctx, "shop")
	return []rhumb.StackInfo{st}, err
}

func (s *stage) Status(ctx context.Context, stack string) (rhumb.StackInfo, error) {
	if stack != "shop" {
		return rhumb.StackInfo{}, rhumb.Errorf(rhumb.NotFound, "stack %s isn't deployed", stack).
			WithHint("rhumb stacks lists those that are")
	}
	d, err := s.Deployment(ctx, stack, 0)
	if err != nil {
		return rhumb.StackInfo{}, err
	}
	replica := func(service string, slot int, state rhumb.ReplicaState, words string) rhumb.ReplicaStatus {
		return rhumb.ReplicaStatus{
			Replica: rhumb.Replica{ID: "id", Stack: stack, Service: service, Release: 41, Slot: slot, State: state},
			Name:    rhumb.ReplicaName(stack, service, 41, slot), Ready: state == rhumb.StateRunning, Status: words}
	}
	web := []rhumb.ReplicaStatus{
		replica("web", 1, rhumb.StateRunning, "draining, 3 open"),
		replica("web", 2, rhumb.StateExited, "exited (1), again in 8s")}
	web[0].Routed, web[0].Open = "draining", 3
	return rhumb.StackInfo{Name: stack, Release: 41, Deployment: &d, Services: []rhumb.ServiceStatus{
		{Name: "db", Image: "sha256:0123456789abcdef0123", Replicas: 1, Ready: 1,
			Slots: []rhumb.ReplicaStatus{replica("db", 1, rhumb.StateRunning, "ready for 3h")}},
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
		{Stack: stack, Number: 41, Origin: s.origin, At: hoursAgo(3), By: "ada@laptop", Cause: rhumb.CauseDeploy,
			Served: true, Current: true, Git: rhumb.Git{Commit: "1f3c9a2b77", Dirty: true}},
		{Stack: stack, Number: 40, At: hoursAgo(90), By: "bob@desk", Cause: rhumb.CauseScale, Served: true,
			Note: "scale web=3"},
		{Stack: stack, Number: 39, At: hoursAgo(91), By: "bob@desk", Cause: rhumb.CauseDeploy},
	}, nil
}

func (s *stage) Diff(_ context.Context, _ string, a, b int) ([]rhumb.Difference, error) {
	if a == b {
		return nil, nil
	}
	return []rhumb.Difference{
		{Service: "web", Verb: "changed", What: []string{"environment A"}},
		{Service: "new", Verb: "added"}}, nil
}

func (s *stage) Routes(context.Context) (rhumb.RouterStatus, error) {
	return rhumb.RouterStatus{Table: rhumb.Table{Version: 3,
		Listeners: []rhumb.Listener{
			{Addr: netip.MustParseAddrPort("[::]:80"), Protocol: rhumb.HTTP},
			{Addr: netip.MustParseAddrPort("127.0.0.1:5432"), Protocol: rhumb.TCP, Backend: "shop/db:5432"}},
		Rules: []rhumb.Rule{{Host: "shop.example.com", Backend: "shop/web:80"}, {Path: "/api", Backend: "shop/web:80"}},
		Backends: []rhumb.Backend{
			{Name: "shop/db:5432", Stack: "shop"},
			{Name: "shop/web:80", Stack: "shop", Service: "web",
				Endpoints: []rhumb.Endpoint{{Replica: "a"}, {Replica: "b", Draining: true}}}},
		Segments: []rhumb.Segment{{Network: "shop_default", Stack: "shop", Services: []rhumb.ServiceAddress{
			{Service: "db", Addr: netip.MustParseAddr("172.18.200.7"), Gap: time.Now().Add(time.Minute)},
			{Service: "web", Addr: netip.MustParseAddr("172.18.128.9"),
				Endpoints: []rhumb.Endpoint{{Replica: "a"}, {Replica: "b", Draining: true}}}}}}},
		Open: map[string]int{"a": 2, "b": 1},
		Backends: map[string]rhumb.BackendStats{"shop/web:80": {
			Waiting: 3, WaitingSince: time.Now().Add(-2 * time.Second),
			Releases: map[int]rhumb.ReleaseStats{41: {Served: 10, Errors: 1, Latency: 20 * time.Millisecond}}}}}, nil
}

func (s *stage) Certificates(context.Context) ([]rhumb.CertificateStatus, error) {
	return []rhumb.CertificateStatus{
		{Host: "app.internal", Source: rhumb.CertInternal, Stack: "shop", Issuer: "Rhumb internal authority",
			NotAfter: time.Now().Add(80*24*time.Hour + time.Minute)},
		{Host: "shop.example.com", Source: rhumb.CertACME, Stack: "shop", Error: "connection refused",
			Failed: hoursAgo(1), Next: time.Now().Add(30*time.Minute + time.Second)},
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

func (s *stage) Logs(_ context.Context, stack string, services []string,
	o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
		for i, service := range []string{"web", "db", "web", "db"} {
			if len(services) > 0 && !slices.Contains(services, service) || o.Tail < 0 {
				continue
			}
			l := rhumb.LogLine{Time: at.Add(time.Duration(i) * time.Second), Stack: stack, Service: service,
				Replica: rhumb.ReplicaName(stack, service, 41, 1), Text: fmt.Sprintf("line %d", i)}
			if !yield(l, nil) {
				return
			}
		}
	}
}
