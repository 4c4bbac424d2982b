package rollout_test

import (
	"fmt"
	"time"

	"rhumb"
	"rhumb/rollout"
)

// A service with one replica changes its image, start-first: the new replica is routed before the old one drains. The
// caller performs the steps, looks again, and asks Next again; this caller's world obeys at once.
func ExampleNext() {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	release := func(image string) *rhumb.Stack {
		return &rhumb.Stack{Name: "shop", Services: []rhumb.Service{{
			Name: "web", Replicas: 1, Container: rhumb.Container{Image: image}, Order: rhumb.StartFirst,
			Ready: rhumb.Ready{Kind: rhumb.ReadyHTTP, Port: 80},
			Ports: []rhumb.Port{{Published: 80, Target: 80, Protocol: rhumb.TCP}},
		}}}
	}
	wanted := rollout.Wanted{Stack: "shop", Release: 2, Model: release("web:2"), Previous: release("web:1"),
		Mode: rollout.Deploy}
	seen := rollout.Observed{
		Replicas: []rhumb.Replica{{ID: "old", Stack: "shop", Service: "web", Release: 1, Slot: 1,
			Spec: wanted.Previous.Specs()["web"], State: rhumb.StateRunning, Started: now.Add(-time.Hour)}},
		Ready:     map[string]time.Time{"old": now.Add(-time.Hour)},
		Routes:    map[string]rollout.Route{"old": {}},
		Published: map[string]string{"*:80/tcp": "web"},
	}
	for {
		d := rollout.Next(wanted, seen, now)
		for _, step := range d.Steps {
			fmt.Println(step)
			switch step.Kind {
			case rhumb.StepStart:
				seen.Replicas = append(seen.Replicas,
					rhumb.Replica{ID: "new", Stack: "shop", Service: "web", Release: 2, Slot: 1,
						Spec: wanted.Model.Specs()["web"], State: rhumb.StateRunning, Started: now})
				seen.Ready["new"] = now
			case rhumb.StepRoute:
				seen.Routes[step.Replica] = rollout.Route{}
			case rhumb.StepDrain:
				seen.Routes[step.Replica] = rollout.Route{Draining: true, Since: now}
			}
		}
		if d.Done {
			fmt.Println("done")
			return
		}
	}
	// Output:
	// start shop-web.2.1 (image changed)
	// route shop-web.2.1 (ready)
	// drain shop-web.1.1 (image changed)
	// unroute shop-web.1.1 (image changed)
	// done
}
