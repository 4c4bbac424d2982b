package observed

import (
	"context"
	"os"
	"path/filepath"

	"rhumb"
	"rhumb/engine/docker"
	"rhumb/httpapi/client"
	"rhumb/observe"
	"rhumb/observe/alerts"
	"rhumb/observe/measure"
	"rhumb/observe/metrics"
	"rhumb/observe/notify"
	"rhumb/observe/promapi"
	"rhumb/observe/why"
	"rhumb/proxy"
	"rhumb/web"
)

// measured is what the process does beside keeping lines: it measures, evaluates rules, explains, and shows all of it.
type measured struct {
	store   *metrics.Store
	from    *measure.Measurer
	rules   *alerts.Alerts
	explain *why.Explainer
	lines   *lineCount
	sender  *notify.Sender
	fronts  []front
	link    rhumb.DashboardLink
	done    []func()
}

// newMeasured opens the store of values and makes the parts around it. close ends what it has opened.
func newMeasured(o Options, kept rhumb.Observer) (m *measured, err error) {
	m = &measured{lines: newLineCount()}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	m.store, err = metrics.Open(metrics.Options{Dir: filepath.Join(o.State, "metrics"), Keep: o.Keep, Size: o.Size, Log: o.Log})
	if err != nil {
		return m, err
	}
	m.done = append(m.done, func() { _ = m.store.Close() }) // it logs what it couldn't write
	engine, err := docker.New(docker.Options{Host: o.DockerHost, Log: o.Log})
	if err != nil {
		return m, err
	}
	m.done = append(m.done, func() { _ = engine.Close() })
	daemon, err := client.New("unix://" + o.Server)
	if err != nil {
		return m, err
	}
	m.done = append(m.done, func() { _ = daemon.Close() })
	m.from = measure.New(measure.Deps{Engine: engine, Router: proxy.Dial(o.Data.ProxySocket()), Daemon: daemon,
		Sink: m.store, Folders: []string{string(o.Data), "/var/lib/docker", "/"}, Log: o.Log})
	if m.sender, err = notify.New(notify.Options{URLs: o.AlertTo, Log: o.Log}); err != nil {
		return m, err
	}
	m.rules = alerts.New(alerts.Deps{Metrics: m.store, Standings: m.from.Standings(), Notify: m.sender,
		File: filepath.Join(o.State, "alerts.json"), Link: o.dashboardURL(), Log: o.Log})
	m.explain = why.New(why.Deps{Metrics: m.store, Lines: kept, Standings: m.from.Standings()})
	return m, m.openFronts(o, kept, daemon)
}

// openFronts makes what answers people and other programs.
func (m *measured) openFronts(o Options, kept rhumb.Observer, daemon *client.Client) error {
	if o.Metrics != "" {
		h := promapi.New(promapi.Deps{Store: m.store, Version: o.Version, Log: o.Log})
		m.fronts = append(m.fronts, front{name: "metrics", addr: o.Metrics, handler: h, log: o.Log})
	}
	if o.Dashboard == "" {
		return nil
	}
	key, err := dashboardKey(o.State)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // "": the pages show no name
	m.link = rhumb.DashboardLink{Addr: o.Dashboard, Key: key}
	h := web.New(web.Deps{Stacks: daemon, History: daemon, Traffic: daemon, Deployer: daemon, Observer: kept,
		Metrics: m.store, Alerts: m.rules, Explain: m.explain, Key: key, Machine: host, Version: o.Version, Log: o.Log})
	m.fronts = append(m.fronts, front{name: "dashboard", addr: o.Dashboard, handler: h, log: o.Log})
	return nil
}

// parts returns what runs until the process ends.
func (m *measured) parts() []func(context.Context) error {
	counting := func(ctx context.Context) error { return m.lines.measure(ctx, m.store) }
	all := []func(context.Context) error{m.store.Run, m.from.Run, m.rules.Run, m.sender.Run, counting}
	for _, f := range m.fronts {
		all = append(all, f.run)
	}
	return all
}

// close ends what was opened, in the other order.
func (m *measured) close() {
	for i := len(m.done) - 1; i >= 0; i-- {
		m.done[i]()
	}
}

// set takes what the stacks ask for.
func (m *measured) set(stack string, o rhumb.Observing) {
	m.from.SetScrapes(stack, o.Scrapes)
	m.rules.SetRules(stack, o.Rules)
}

// DashboardLink implements rhumb.Dashboard.
func (m *measured) DashboardLink(context.Context) (rhumb.DashboardLink, error) {
	if m.link.Addr == "" {
		return m.link, rhumb.Errorf(rhumb.NotFound, "this server has no dashboard").
			WithHint("start it without --dashboard \"\"")
	}
	return m.link, nil
}

// counted is a sink that counts the lines that it takes.
type counted struct {
	observe.Sink
	count *lineCount
}

func (s counted) Append(ctx context.Context, lines []rhumb.LogLine) (int, error) {
	n, err := s.Sink.Append(ctx, lines)
	s.count.add(lines[:n])
	return n, err
}
