package observed

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/engine/docker"
	"rhumb/httpapi/client"
	"rhumb/internal/unixsocket"
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
	tell    *notify.Sender
	fronts  []front
	link    rhumb.DashboardLink
	done    []func()
	log     *slog.Logger

	mu      sync.Mutex
	scrapes map[string]map[string]rhumb.Scrape // by stack and service
}

// newMeasured opens the store of values and makes the parts around it. close ends what it has opened.
func newMeasured(o Options, kept rhumb.Observer) (m *measured, err error) {
	m = &measured{log: o.Log, lines: newLineCount(), scrapes: map[string]map[string]rhumb.Scrape{}}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	m.store, err = metrics.Open(metrics.Options{Dir: filepath.Join(o.State, "metrics"), Keep: o.Keep, Size: o.Size,
		Log: o.Log})
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
	m.done = append(m.done, daemon.Close)
	m.from = measure.New(measure.Deps{Engine: engine, Router: proxy.Dial(o.Data.ProxySocket()), Daemon: daemon,
		Sink: m.store, Folders: []string{string(o.Data), engineRoot(engine), "/"},
		ServerPID: func() int { return unixsocket.ServerPID(o.Server) }, Log: o.Log})
	if m.tell, err = notify.New(notify.Options{URLs: o.AlertTo, Log: o.Log}); err != nil {
		return m, err
	}
	m.rules = alerts.New(alerts.Deps{Metrics: m.store, Standings: m.from.Standings(), Notify: m.tell,
		File: filepath.Join(o.State, "alerts.json"), Link: o.dashboardURL(), Log: o.Log})
	m.explain = why.New(why.Deps{Metrics: m.store, Lines: kept, Standings: m.from.Standings()})
	return m, m.openFronts(o, kept, daemon)
}

// engineRoot returns the folder of the engine's data.
func engineRoot(e *docker.Engine) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	info, _ := e.Info(ctx) // an engine that is away has the usual folder
	return cmp.Or(info.Root, "/var/lib/docker")
}

// openFronts makes what answers people and other programs.
func (m *measured) openFronts(o Options, kept rhumb.Observer, daemon *client.Client) error {
	if o.Metrics != "" {
		h := promapi.New(promapi.Deps{Store: m.store, Alerts: m.rules, Version: o.Version, Log: o.Log})
		m.fronts = append(m.fronts, front{name: "metrics", addr: o.Metrics, handler: localOnly(o.Metrics, h), log: o.Log})
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
		Metrics: m.store, Alerts: m.rules, Explain: m.explain, Key: key, Hosts: o.Hosts, Machine: host,
		Version: o.Version, Log: o.Log})
	m.fronts = append(m.fronts, front{name: "dashboard", addr: o.Dashboard, handler: h, log: o.Log})
	return nil
}

// measuredOrNot returns what measures. If that can't be, lines are kept all the same: it returns nil, which does
// nothing.
func measuredOrNot(o Options, kept rhumb.Observer) *measured {
	m, err := newMeasured(o, kept)
	if err != nil {
		o.Log.Error("nothing is measured until the next start", "err", err)
		return nil
	}
	return m
}

// offer adds to k what the process offers beside lines.
func (m *measured) offer(k *link.Keeper) {
	if m != nil {
		k.Metrics, k.Alerts, k.Explainer, k.Dashboard = m.store, m.rules, m.explain, m
	}
}

// parts returns what runs until the process ends. None of it ends the others.
func (m *measured) parts() []func(context.Context) error {
	if m == nil {
		return nil
	}
	counting := func(ctx context.Context) error { return m.lines.measure(ctx, m.store) }
	all := []func(context.Context) error{m.store.Run, m.from.Run, m.rules.Run, m.tell.Run, counting}
	for _, f := range m.fronts {
		all = append(all, f.run)
	}
	for i, part := range all {
		all[i] = func(ctx context.Context) error {
			if err := part(ctx); err != nil && ctx.Err() == nil {
				m.log.Error("a part of what measures has ended", "err", err)
			}
			<-ctx.Done()
			return nil
		}
	}
	return all
}

// close ends what was opened, in the other order.
func (m *measured) close() {
	if m == nil {
		return
	}
	for i := len(m.done) - 1; i >= 0; i-- {
		m.done[i]()
	}
}

// set takes what the stacks ask for.
func (m *measured) set(stack string, o rhumb.Observing) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.scrapes[stack] = o.Scrapes
	m.from.SetScrapes(maps.Clone(m.scrapes))
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

// counting returns the sink with its lines counted.
func (m *measured) counting(to observe.Sink) observe.Sink {
	if m == nil {
		return to
	}
	return counted{to, m.lines}
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
