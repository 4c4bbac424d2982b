package status

import (
	"testing"
	"time"

	"rhumb"
	"rhumb/control/scene"
	"rhumb/rollout"
)

func TestAStatusSaysHowManyRequestsWaitForAService(t *testing.T) {
	now := time.Now()
	st := rhumb.RouterStatus{
		Table: rhumb.Table{Backends: []rhumb.Backend{
			{Name: "shop/web:80", Stack: "shop", Service: "web"}, {Name: "shop/web:81", Stack: "shop", Service: "web"},
			{Name: "blog/web:80", Stack: "blog", Service: "web"}, {Name: "shop/gone:80", Stack: "shop",
				Service: "gone"}}},
		Backends: map[string]rhumb.BackendStats{
			"shop/web:80":  {Waiting: 2, WaitingSince: now.Add(-time.Second)},
			"shop/web:81":  {Waiting: 1, WaitingSince: now.Add(-3 * time.Second)},
			"blog/web:80":  {Waiting: 9, WaitingSince: now.Add(-time.Hour)},
			"shop/gone:80": {Waiting: 1}},
	}
	services := []rhumb.ServiceStatus{{Name: "db"}, {Name: "web"}}
	addHeld(services, &scene.Scene{Wanted: rollout.Wanted{Stack: "shop"}, Router: st}, now)
	if web := services[1]; web.Waiting != 3 || web.Waited != 3*time.Second || services[0].Waiting != 0 {
		t.Errorf("got %+v", services)
	}
}

func TestAStatusCountsNoReplicaReadyThatTheTurnDoesNot(t *testing.T) {
	now := time.Now()
	m := &rhumb.Stack{Name: "shop", Services: []rhumb.Service{
		{Name: "db", Replicas: 1, Ready: rhumb.Ready{Kind: rhumb.ReadyRunning}},
		{Name: "web", Replicas: 4, Ready: rhumb.Ready{Kind: rhumb.ReadyTCP}},
	}}
	s := &scene.Scene{Wanted: rollout.Wanted{Stack: "shop", Model: m, Specs: m.Specs()}}
	rep := func(id, service string, slot int) rhumb.Replica {
		return rhumb.Replica{ID: id, Stack: "shop", Service: service, Slot: slot, Release: 1,
			Spec:  s.Wanted.Specs[service],
			State: rhumb.StateRunning, Started: now.Add(-time.Minute)}
	}
	s.Observed = rollout.Observed{
		Replicas: []rhumb.Replica{rep("db", "db", 1), rep("up", "web", 1), rep("failed", "web", 2),
			rep("stopping", "web", 3), rep("hooks", "web", 4)},
		Ready:     map[string]time.Time{"up": now, "failed": now, "stopping": now, "hooks": now},
		Recorded:  map[string]bool{"failed": true},
		Stopping:  map[string]bool{"stopping": true},
		PostStart: map[string]time.Time{"hooks": {}},
	}
	for _, svc := range Services(s, now) {
		for _, r := range svc.Slots {
			if want := r.ID == "db" || r.ID == "up"; r.Ready != want {
				t.Errorf("%s is ready: %t, status %q", r.ID, r.Ready, r.Status)
			}
			if r.ID == "stopping" && r.Status != "leaving" {
				t.Errorf("a replica that is being stopped reads %q", r.Status)
			}
		}
		if svc.Ready != 1 {
			t.Errorf("%d of %s count as ready, want 1", svc.Ready, svc.Name)
		}
	}
}
