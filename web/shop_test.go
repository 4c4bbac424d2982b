package web

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"time"

	"rhumb"
)

// shopWorld is a server with two stacks: shop, whose release 42 serves, and blog.
func shopWorld() *world {
	w := newWorld()
	shop := rhumb.StackInfo{Name: "shop", Release: 42, Services: []rhumb.ServiceStatus{
		serviceOf("shop", "web", "ghcr.io/acme/shop-web:3f2a91c", 42, 2, "shop.example.com/", "*:80/tcp"),
		serviceOf("shop", "api", "ghcr.io/acme/shop-api:3f2a91c", 42, 3, "shop.example.com/api"),
		serviceOf("shop", "worker", "ghcr.io/acme/shop-api:3f2a91c", 42, 2),
		serviceOf("shop", "db", "postgres:16.4", 38, 1),
		jobOf("shop", "migrate", "ghcr.io/acme/shop-api:3f2a91c", 42),
	}}
	w.deployed = shopDeployments()
	shop.Deployment = &w.deployed[0]
	blog := rhumb.StackInfo{Name: "blog", Release: 7, Services: []rhumb.ServiceStatus{
		serviceOf("blog", "ghost", "ghost:5.96", 7, 1, "blog.example.com/"),
	}}
	w.stacks = []rhumb.StackInfo{blog, shop}
	w.releases = shopReleases()
	w.events = shopEvents()
	w.certs = []rhumb.CertificateStatus{
		{Host: "blog.example.com", Source: rhumb.CertACME, Stack: "blog", Issuer: "R11 (Let's Encrypt)",
			NotBefore: noon.AddDate(0, 0, -30), NotAfter: noon.AddDate(0, 0, 60), Next: noon.AddDate(0, 0, 30)},
		{Host: "shop.example.com", Source: rhumb.CertACME, Stack: "shop", Issuer: "R11 (Let's Encrypt)",
			NotBefore: noon.AddDate(0, 0, -81), NotAfter: noon.AddDate(0, 0, 9), Next: noon.Add(time.Hour),
			Failed: noon.Add(-time.Hour), Error: "the authority can't reach http://shop.example.com: connection refused"},
		{Host: "shop.test", Source: rhumb.CertInternal, Stack: "shop", Issuer: "rhumb internal authority",
			NotBefore: noon.AddDate(0, 0, -1), NotAfter: noon.AddDate(0, 0, 89), Next: noon.AddDate(0, 0, 59)},
	}
	w.metric = shopMetrics
	w.plan = rhumb.Plan{Stack: "shop", From: 42, To: 43, Changes: []rhumb.Difference{
		{Service: "web", Verb: "changed", What: []string{"image", "environment CART_LIMIT"}, Order: rhumb.StartFirst},
	}, Steps: []rhumb.Step{
		{Kind: rhumb.StepStart, Stack: "shop", Service: "web", Release: 43, Slot: 1, Why: "image changed"},
		{Kind: rhumb.StepRoute, Stack: "shop", Service: "web", Release: 43, Slot: 1},
		{Kind: rhumb.StepDrain, Stack: "shop", Service: "web", Release: 42, Slot: 1},
		{Kind: rhumb.StepStop, Stack: "shop", Service: "web", Release: 42, Slot: 1},
	}}
	w.alerts = []rhumb.Alert{{ID: "a1", Rule: "FatalLines", Severity: rhumb.SeverityWarning,
		State: rhumb.AlertFiring, Since: noon.Add(-4 * time.Minute), Fired: noon.Add(-4 * time.Minute), Stack: "shop",
		Service: "worker", Text: "worker writes log lines of level fatal: 2 in 5 minutes", Release: 42}}
	return w
}

func serviceOf(stack, name, image string, release, n int, addresses ...string) rhumb.ServiceStatus {
	s := rhumb.ServiceStatus{Name: name, Image: image, Replicas: n, Ready: n, Order: rhumb.StartFirst, Address: addresses}
	for slot := 1; slot <= n; slot++ {
		s.Slots = append(s.Slots, replicaOf(stack, name, release, slot))
	}
	return s
}

func replicaOf(stack, service string, release, slot int) rhumb.ReplicaStatus {
	r := rhumb.Replica{ID: strings.Repeat(fmt.Sprintf("%x", slot+release%9), 32)[:32], Stack: stack, Service: service,
		Release: release, Slot: slot, State: rhumb.StateRunning, Created: noon.Add(-3 * time.Hour),
		Started: noon.Add(-3 * time.Hour), Addrs: map[string]netip.Addr{"default": netip.MustParseAddr("10.0.3.7")}}
	return rhumb.ReplicaStatus{Replica: r, Name: r.Name(), Ready: true, Routed: "active", Open: slot,
		Status: "ready for 3h"}
}

func jobOf(stack, name, image string, release int) rhumb.ServiceStatus {
	r := replicaOf(stack, name, release, 1)
	r.State, r.Ready, r.Routed, r.Open, r.Status = rhumb.StateExited, false, "", 0, "completed"
	r.Finished = noon.Add(-179 * time.Minute)
	return rhumb.ServiceStatus{Name: name, Image: image, Replicas: 1, Job: true, Slots: []rhumb.ReplicaStatus{r}}
}

// shopDeployments are those of shop: the last one converged, the one before it was put back.
func shopDeployments() []rhumb.Deployment {
	at := func(ago time.Duration) time.Time { return noon.Add(-ago) }
	return []rhumb.Deployment{
		{ID: 812, Stack: "shop", Cause: rhumb.CauseDeploy, From: 41, To: 42, By: "ana (ana@laptop)",
			Started: at(3*time.Hour + 74*time.Second), Ended: at(3 * time.Hour), Phase: rhumb.PhaseConverged,
			Jobs: []string{"migrate"}},
		{ID: 811, Stack: "shop", Cause: rhumb.CauseDeploy, From: 41, To: 42, By: "ana (ana@laptop)",
			Started: at(19*time.Hour + 6*time.Second), Ended: at(19 * time.Hour), Phase: rhumb.PhaseRolledBack,
			Why: "shop-api.42.1: the health check failed", Failures: []rhumb.Failure{shopFailure()}},
		{ID: 790, Stack: "shop", Cause: rhumb.CauseScale, From: 40, To: 41, By: "ci (github)",
			Started: at(100*time.Hour + 3*time.Second), Ended: at(100 * time.Hour), Phase: rhumb.PhaseConverged},
		{ID: 781, Stack: "shop", Cause: rhumb.CauseDeploy, From: 39, To: 40, By: "ci (github)",
			Started: at(150*time.Hour + 20*time.Second), Ended: at(150 * time.Hour), Phase: rhumb.PhaseConverged},
	}
}

func shopFailure() rhumb.Failure {
	return rhumb.Failure{At: noon.Add(-19 * time.Hour), Service: "api", Slot: 1, Release: 42, Replica: "shop-api.42.1",
		ID: "5c1d", Reason: "the health check failed", ExitCode: 1, Ended: true,
		Health: "GET /alive → 500, 5 times in 3 s",
		Logs: []string{"INFO  starting gunicorn 22.0.0", "ERROR sqlalchemy.exc.OperationalError:",
			"      column orders.note does not exist"},
		Hint: "the migration of this release may be missing; try it by hand: rhumb run --release 42 api flask db upgrade"}
}

func shopReleases() []rhumb.ReleaseInfo {
	git := func(c string) rhumb.Git { return rhumb.Git{Commit: strings.Repeat(c, 6)[:40], Branch: "main"} }
	return []rhumb.ReleaseInfo{
		{Stack: "shop", Number: 42, At: noon.Add(-3 * time.Hour), By: "ana (ana@laptop)", Git: git("3f2a91c"),
			Origin: "github.com/acme/shop/deploy", Cause: rhumb.CauseDeploy, Note: "faster cart", Served: true,
			Current: true},
		{Stack: "shop", Number: 41, At: noon.Add(-100 * time.Hour), By: "ci (github)", Git: git("9b00d1e"),
			Cause: rhumb.CauseScale, Note: "scale worker=2", Served: true},
		{Stack: "shop", Number: 40, At: noon.Add(-150 * time.Hour), By: "ci (github)", Git: git("9b00d1e"),
			Cause: rhumb.CauseDeploy, Served: true},
		{Stack: "shop", Number: 39, At: noon.Add(-300 * time.Hour), By: "ci (github)",
			Git:   rhumb.Git{Commit: strings.Repeat("77aa01f", 6)[:40], Branch: "hotfix", Dirty: true},
			Cause: rhumb.CauseDeploy},
	}
}

// shopEvents are those of deployment 812, and a few of before and after.
func shopEvents() []rhumb.Event {
	var list []rhumb.Event
	at := noon.Add(-3*time.Hour - 74*time.Second)
	add := func(after time.Duration, e rhumb.Event) {
		at = at.Add(after)
		e.ID, e.At, e.Stack, e.Deployment = int64(len(list)+1), at, "shop", 812
		list = append(list, e)
	}
	replica := func(kind rhumb.EventKind, service string, release, slot int, text string) rhumb.Event {
		return rhumb.Event{Kind: kind, Service: service, Release: release, Slot: slot,
			Replica: rhumb.ReplicaName("shop", service, release, slot), Text: text}
	}
	add(0, rhumb.Event{Kind: rhumb.EventDeployment, Phase: rhumb.PhaseRolling, By: "ana (ana@laptop)",
		Text: "deploy: shop@41 to shop@42"})
	add(200*time.Millisecond, replica(rhumb.EventStarting, "migrate", 42, 1, ""))
	add(1200*time.Millisecond, replica(rhumb.EventCompleted, "migrate", 42, 1, ""))
	for _, service := range []string{"api", "web"} {
		for slot := 1; slot <= 2; slot++ {
			add(100*time.Millisecond, replica(rhumb.EventStarting, service, 42, slot, "image changed"))
			add(240*time.Millisecond, replica(rhumb.EventStarted, service, 42, slot, ""))
			add(2*time.Second, replica(rhumb.EventReady, service, 42, slot, "ready after 2s"))
			add(50*time.Millisecond, replica(rhumb.EventDraining, service, 41, slot, ""))
			add(4*time.Second, replica(rhumb.EventStopped, service, 41, slot, ""))
		}
	}
	add(time.Second, rhumb.Event{Kind: rhumb.EventWarning, Service: "worker", Text: "worker has no health check"})
	add(2*time.Second, rhumb.Event{Kind: rhumb.EventDeployment, Phase: rhumb.PhaseConverged,
		Text: "converged: shop@42 serves"})
	return list
}

// shopMetrics answers each expression with figures for each stack and service.
func shopMetrics(q rhumb.MetricQuery) []rhumb.Series {
	q = q.Range(noon)
	base := map[string]float64{"shop": 84.2, "blog": 2.1, "web": 43.1, "api": 41.1, "worker": 29.3, "db": 12.9,
		"41": 52, "42": 84}
	scale := 1.0
	switch {
	case strings.Contains(q.Expr, "histogram_quantile"):
		scale = 0.0009
	case strings.Contains(q.Expr, "errors"):
		scale = 0.000005
	case strings.Contains(q.Expr, "rhumb_stack_release"):
		scale = 0.5
	case strings.Contains(q.Expr, "_memory_limit"):
		scale = 11e6
	case strings.Contains(q.Expr, "_memory_bytes"):
		scale = 5e6
	case strings.Contains(q.Expr, "_cpu_limit"):
		scale = 0.03
	case strings.Contains(q.Expr, "_cpu_"):
		scale = 0.01
	}
	label, names := "service", []string{"web", "api", "worker", "db"}
	if strings.Contains(q.Expr, "by (stack)") {
		label, names = "stack", []string{"shop", "blog"}
	}
	if strings.Contains(q.Expr, "by (release)") {
		label, names = "release", []string{"41", "42"}
	}
	if strings.Contains(q.Expr, "rhumb_request") && label == "service" {
		names = names[:2]
	}
	var all []rhumb.Series
	for i, name := range names {
		s := rhumb.Series{Labels: map[string]string{label: name}}
		since := q.Since
		if since.IsZero() {
			since, q.Step = q.Until, time.Second
		}
		for t := since; !t.After(q.Until); t = t.Add(q.Step) {
			wave := 1 + 0.25*math.Sin(float64(t.Unix())/700+float64(i)) + 0.05*math.Sin(float64(t.Unix()))
			old := t.Before(noon.Add(-3 * time.Hour))
			if name == "41" && !old || name == "42" && old {
				continue
			}
			s.Points = append(s.Points, rhumb.Point{Time: t, Value: base[name] * scale * wave})
		}
		all = append(all, s)
	}
	return all
}
