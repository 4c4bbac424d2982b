// Package web is the dashboard: pages that the server renders, for a browser on the server's own machine or at the
// other end of an SSH tunnel. It knows the API's interfaces and nothing behind them, so any of them may be away: each
// page shows what still answers. Pages are complete without a script; the script only keeps them up to date.
//
// A page is a file of Go, a template of the same name, and a line in the list pages. What a client can make the
// dashboard spend has a bound: limits.go.
package web

import (
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"rhumb"
)

// Deps is what the dashboard shows, and who may see it.
type Deps struct {
	Stacks   rhumb.Stacks
	History  rhumb.History
	Traffic  rhumb.Traffic
	Deployer rhumb.Deployer
	Observer rhumb.Observer
	Metrics  rhumb.Metrics
	Alerts   rhumb.Alerts
	Explain  rhumb.Explainer

	Key     string   // lets its holder in; with "" no client gets in
	Hosts   []string // names under which browsers reach the dashboard, besides localhost and addresses
	Machine string   // the machine's name, which each page shows
	Version string
	Log     *slog.Logger
}

// pages are all pages. Those with a name are in the navigation, in this order.
var pages = []page{
	{path: "/stacks", name: "Stacks", file: "stacks.html", show: stacksPage},
	{path: "/stacks/{stack}", file: "stack.html", show: stackPage},
	{path: "/stacks/{stack}/rollback", file: "confirm.html", show: rollbackPage},
	{path: "/stacks/{stack}/restart", file: "confirm.html", show: restartPage},
	{path: "/stacks/{stack}/scale", file: "confirm.html", show: scalePage},
	{path: "/stacks/{stack}/deployments/{id}", file: "deployment.html", show: deploymentPage},
	{path: "/stacks/{stack}/deployments/{id}/cancel", file: "confirm.html", show: cancelPage},
	{path: "/logs", name: "Logs", file: "logs.html", show: logsPage},
	{path: "/logs/context", file: "context.html", show: contextPage},
	{path: "/metrics", name: "Metrics", file: "metrics.html", show: metricsPage},
	{path: "/nodes", name: "Nodes", file: "nodes.html", show: nodesPage},
	{path: "/alerts", name: "Alerts", file: "alerts.html", show: alertsPage},
	{path: "/alerts/silence", file: "silence.html", show: silencePage},
	{path: "/why", name: "Why", file: "why.html", show: whyPage},
	{path: "/certificates", name: "Certificates", file: "certificates.html", show: certificatesPage},
	{path: "/events", name: "Events", file: "events.html", show: eventsPage},
}

// actions are all changes. Each is a POST; what it returns is where the browser goes next.
var actions = []action{
	{path: "/theme", do: setTheme},
	{path: "/stacks/{stack}/rollback", do: changeStack},
	{path: "/stacks/{stack}/restart", do: changeStack},
	{path: "/stacks/{stack}/scale", do: changeStack},
	{path: "/stacks/{stack}/deployments/{id}/cancel", do: cancelDeployment},
	{path: "/alerts/silence", do: silence},
	{path: "/alerts/unsilence", do: unsilence},
	{path: "/alerts/test", do: testAlerts},
}

// server is the dashboard.
type server struct {
	Deps
	gate    *gate
	screens map[string]*template.Template // by file
	streams chan struct{}                 // one for each live stream
	renders chan struct{}                 // one for each page that is being made
	now     func() time.Time
}

// New returns the dashboard. Its http.Server needs a ReadHeaderTimeout, and MaxHeaderBytes of some kB.
func New(d Deps) http.Handler { return newServer(d, time.Now).handler() }

func newServer(d Deps, now func() time.Time) *server {
	s := &server{
		Deps:    d,
		gate:    &gate{key: []byte(d.Key), hosts: d.Hosts, now: now},
		screens: map[string]*template.Template{},
		streams: make(chan struct{}, maxStreams),
		renders: make(chan struct{}, maxRenders),
		now:     now,
	}
	for _, p := range append([]page{closedPage, failedPage}, pages...) {
		s.screens[p.file] = parse(p.file)
	}
	return s
}

// handler returns the dashboard with all that stands before it: headers, limits, and the gate.
func (s *server) handler() http.Handler {
	inner := http.NewServeMux()
	for _, p := range pages {
		inner.Handle("GET "+p.path, s.serve(p))
	}
	for _, a := range actions {
		inner.Handle("POST "+a.path, s.change(a))
	}
	for _, l := range lives {
		inner.Handle("GET "+l.path, s.stream(l))
	}
	inner.HandleFunc("GET /logs/download", func(w http.ResponseWriter, r *http.Request) { downloadLogs(s, w, r) })
	inner.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/stacks", http.StatusFound)
	})
	inner.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, rhumb.Errorf(rhumb.NotFound, "there is no page %s", r.URL.Path))
	})
	outer := http.NewServeMux()
	outer.Handle("GET /static/", http.HandlerFunc(serveStatic))
	outer.Handle("GET /favicon.ico", http.RedirectHandler(asset("favicon.svg"), http.StatusFound))
	outer.Handle("/", s.gated(inner))
	return s.guarded(outer)
}
