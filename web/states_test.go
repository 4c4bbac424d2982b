package web

import (
	"strings"
	"time"

	"rhumb"
)

// awayWorld is the shop whose daemon doesn't answer.
func awayWorld() *world {
	w := shopWorld()
	w.down = daemonAway
	return w
}

// openWorld is the shop in the middle of deployment 813, to release 43.
func openWorld() *world {
	w := shopWorld()
	d := rhumb.Deployment{ID: 813, Stack: "shop", Cause: rhumb.CauseDeploy, From: 42, To: 43, By: "ana (ana@laptop)",
		Started: noon.Add(-21 * time.Second), Phase: rhumb.PhaseRolling,
		Before: rhumb.Tally{Proxy: noon.Add(-100 * time.Hour)}}
	w.deployed = append([]rhumb.Deployment{d}, w.deployed...)
	w.releases = append([]rhumb.ReleaseInfo{{Stack: "shop", Number: 43, At: noon.Add(-25 * time.Second),
		By: "ana (ana@laptop)", Git: rhumb.Git{Commit: strings.Repeat("c0ffee1", 6)[:40], Branch: "main"},
		Cause: rhumb.CauseDeploy, Note: "show the tax in the cart"}}, w.releases...)
	w.routes = rhumb.RouterStatus{Started: noon.Add(-100 * time.Hour)}
	shop := &w.stacks[1]
	shop.Deployment = &w.deployed[0]
	web := &shop.Services[0]
	next := replicaOf("shop", "web", 43, 1)
	next.Started, next.Status = noon.Add(-15*time.Second), "ready for 12s"
	starting := replicaOf("shop", "web", 43, 2)
	starting.Ready, starting.Routed, starting.Status, starting.Started = false, "", "starting", noon.Add(-2*time.Second)
	web.Slots[0].Routed, web.Slots[0].Status = "draining", "draining, 3 open"
	web.Slots = append(web.Slots, next, starting)
	for i, e := range []rhumb.Event{
		{Kind: rhumb.EventDeployment, Phase: rhumb.PhaseRolling, Text: "deploy: release 42 to release 43", By: d.By},
		{Kind: rhumb.EventStarting, Service: "web", Slot: 1, Release: 43, Replica: "shop-web.43.1"},
		{Kind: rhumb.EventStarted, Service: "web", Slot: 1, Release: 43, Replica: "shop-web.43.1"},
		{Kind: rhumb.EventReady, Service: "web", Slot: 1, Release: 43, Replica: "shop-web.43.1", Text: "ready after 2s"},
		{Kind: rhumb.EventDraining, Service: "web", Slot: 1, Release: 42, Replica: "shop-web.42.1"},
		{Kind: rhumb.EventStarting, Service: "web", Slot: 2, Release: 43, Replica: "shop-web.43.2"},
	} {
		e.ID, e.Stack, e.Deployment = int64(100+i), "shop", 813
		e.At = noon.Add(time.Duration(3*i-20) * time.Second)
		w.events = append(w.events, e)
	}
	return w
}

// brokenWorld is the shop with a replica that crashes, requests that wait, and a deployment that got stuck.
func brokenWorld() *world {
	w := shopWorld()
	d := &w.deployed[0]
	d.Phase, d.Why = rhumb.PhaseStuck, "shop-api.42.1: exited with 1 before it was ready"
	d.Left = []string{"shop-api.41.2 isn't ready"}
	d.Unserved = map[string]uint64{"api": 14, "web": 2}
	d.Failures = []rhumb.Failure{shopFailure(), shopFailure(), {
		Service: "worker", Replica: "shop-worker.42.1",
		Reason: "exited with 137 after 3s", OOM: true, ExitCode: 137, At: noon.Add(-3 * time.Hour)}}
	shop := &w.stacks[1]
	api := &shop.Services[1]
	api.Ready, api.Waiting, api.Waited = 2, 4, 3*time.Second
	dead := &api.Slots[1]
	dead.State, dead.Ready, dead.Routed, dead.Restarts = rhumb.StateExited, false, "", 3
	dead.Status, dead.ExitCode, dead.Open = "exited (1), again in 8s", 1, 0
	return w
}

// hostile are texts that try to be more than texts, or to be too long.
const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(2)>` +
	"\u202egnp.exe\u2066 \x1b[31mred\x1b[0m\x00"

// hostileWorld is the shop in which each name and text is hostile, and very long.
func hostileWorld() *world {
	w := openWorld()
	long := hostile + strings.Repeat("W", 4096)
	for i := range w.deployed {
		d := &w.deployed[i]
		d.By, d.Why = long, long
		d.Jobs, d.Checked = []string{long}, []string{long}
		d.Unserved = map[string]uint64{long: 3}
		d.Hooks = []rhumb.HookRun{{Service: long, Kind: rhumb.HookPreStop, Number: 1, Failed: long}}
		for j := range d.Failures {
			f := &d.Failures[j]
			f.Replica, f.Reason, f.Health, f.Hint, f.Logs = long, long, long, long, []string{long, hostile}
		}
	}
	for i := range w.releases {
		r := &w.releases[i]
		r.By, r.Note, r.Origin, r.Git.Branch, r.Git.Commit = long, long, long, long, long
	}
	for i := range w.events {
		w.events[i].Text, w.events[i].Service, w.events[i].Replica = long, long, long
	}
	for i := range w.certs {
		w.certs[i].Host, w.certs[i].Issuer, w.certs[i].Error, w.certs[i].Stack = long, long, long, long
	}
	for i := range w.alerts {
		w.alerts[i].Text, w.alerts[i].Rule, w.alerts[i].Service = long, long, long
	}
	shop := &w.stacks[1]
	for i := range shop.Services {
		svc := &shop.Services[i]
		svc.Name, svc.Image, svc.Address = long, long, []string{long, long}
		for j := range svc.Slots {
			svc.Slots[j].Name, svc.Slots[j].Status, svc.Slots[j].Service = long, long, long
		}
	}
	w.plan.Changes = []rhumb.Difference{{Service: long, Verb: "changed", What: []string{long}, Order: rhumb.StopFirst,
		Why: long}}
	w.plan.Steps = []rhumb.Step{{Kind: rhumb.StepStart, Stack: long, Service: long, Why: long}}
	return w
}

// unmeasuredWorld is the shop without metrics, alerts and logs.
func unmeasuredWorld() *world {
	w := shopWorld()
	w.noMetrics = rhumb.Errorf(rhumb.Unavailable, "what measures doesn't answer")
	w.noAlerts, w.noLogs = w.noMetrics, w.noMetrics
	return w
}
