package alerts

import (
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/metrics"
	"rhumb/observe/notify"
)

// sim is a machine with the stack shop in simulated time, measured into a real store and watched by the evaluator.
type sim struct {
	*world
	store  *metrics.Store
	alerts *Alerts
	now    time.Time
	step   time.Duration
	values map[string]float64 // by series, as key writes it
	series map[string]*observe.Series
	gone   []*observe.Series // that have ended since the last step
	web    int               // the release of web's replicas
}

func newSim(t *testing.T, step time.Duration) *sim {
	t.Helper()
	store, err := metrics.Open(metrics.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	s := &sim{world: newWorld(t), store: store, now: time.Now().Add(-24 * time.Hour).Truncate(time.Minute), step: step,
		values: map[string]float64{}, series: map[string]*observe.Series{}, web: 42}
	s.alerts = New(Deps{Metrics: store, Standings: s, Notify: s, File: filepath.Join(t.TempDir(), "a"),
		Log: slog.New(slog.DiscardHandler)})
	s.healthy()
	return s
}

// Stack says what the daemon says: at the simulated time.
func (s *sim) Stack(name string) (rhumb.StackInfo, time.Time) {
	info, _ := s.world.Stack(name)
	return info, s.now
}

// set sets a series, written as name,label=value,...; add changes it; end ends it.
func (s *sim) set(series string, v float64) { s.values[series] = v }
func (s *sim) add(series string, v float64) { s.values[series] += v }
func (s *sim) end(part string) {
	for _, name := range slices.Collect(maps.Keys(s.values)) {
		if strings.Contains(name, part) {
			s.gone = append(s.gone, s.of(name))
			delete(s.values, name)
		}
	}
}

func (s *sim) of(text string) *observe.Series {
	if of := s.series[text]; of != nil {
		return of
	}
	name, labels, _ := strings.Cut(text, ",")
	of := &observe.Series{Name: name}
	for pair := range strings.SplitSeq(labels, ",") {
		if label, value, ok := strings.Cut(pair, "="); ok {
			of.Labels = append(of.Labels, observe.Label{Name: label, Value: value})
		}
	}
	slices.SortFunc(of.Labels, func(a, b observe.Label) int { return strings.Compare(a.Name, b.Name) })
	s.series[text] = of
	return of
}

const (
	onWeb  = ",stack=shop,service=web"
	onShop = ",stack=shop"
)

// replica returns the labels of a replica of web.
func (s *sim) replica(slot int) string {
	return onWeb + ",release=" + itoa(s.web) + ",replica=" + rhumb.ReplicaName("shop", "web", s.web, slot)
}

func (s *sim) requests() string { return onWeb + ",backend=shop/web:80,release=" + itoa(s.web) }

// healthy sets all series as they are while nothing is wrong.
func (s *sim) healthy() {
	for text, v := range map[string]float64{
		"rhumb_node_cpus": 2, "rhumb_node_memory_bytes": 100, "rhumb_node_memory_available_bytes": 50,
		"rhumb_node_disk_bytes,path=/": 100, "rhumb_node_disk_available_bytes,path=/": 50,
		"rhumb_node_disk_inodes,path=/": 100, "rhumb_node_disk_inodes_free,path=/": 50,
		"rhumb_node_clock_synchronised": 1, "rhumb_node_clock_error_seconds": 0.02, "rhumb_engine_up": 1,
		"rhumb_process_up,process=server": 1, "rhumb_process_up,process=proxy": 1,
		"rhumb_service_replicas" + onWeb: 2, "rhumb_service_replicas_ready" + onWeb: 2,
		"rhumb_service_restarts_total" + onWeb: 0, "rhumb_stack_deployment_open" + onShop: 0,
		"rhumb_stack_deployment_failed" + onShop: 0,
	} {
		s.set(text, v)
	}
	s.set("rhumb_certificate_expires_seconds,host=shop.example.com", float64(s.now.Add(60*24*time.Hour).Unix()))
	for slot := range 2 {
		s.start(slot + 1)
	}
}

// start sets the series of a replica.
func (s *sim) start(slot int) {
	r := s.replica(slot)
	for name, v := range map[string]float64{"rhumb_replica_up": 1, "rhumb_replica_unhealthy": 0,
		"rhumb_replica_memory_bytes": 50, "rhumb_replica_memory_limit_bytes": 100, "rhumb_replica_oom_kills_total": 0,
		"rhumb_scrape_up": 1, "rhumb_replica_cpu_seconds_total": 0, "rhumb_replica_cpu_limit": 1} {
		s.set(name+r, v)
	}
}

// serve counts requests of one step, of which some fail or are slow.
func (s *sim) serve(n, failed, slow float64) {
	r := s.requests()
	s.add("rhumb_requests_total"+r, n)
	s.add("rhumb_request_errors_total"+r, failed)
	s.add("rhumb_request_duration_seconds_count"+r, n)
	for le, v := range map[string]float64{"0.05": n - slow, "2.5": n - slow, "5": n, "+Inf": n} {
		s.add("rhumb_request_duration_seconds_bucket"+r+",le="+le, v)
	}
}

// goes on for d with what happens at each step.
func (s *sim) goes(d time.Duration, happens func()) {
	s.t.Helper()
	for end := s.now.Add(d); s.now.Before(end); {
		s.now = s.now.Add(s.step)
		if happens == nil {
			s.serve(150, 0.2, 1)
		} else {
			happens()
		}
		s.add("rhumb_log_lines_total"+onWeb+",level=info", 10)
		if len(s.gone) > 0 {
			if err := s.store.End(s.t.Context(), s.now, s.gone); err != nil {
				s.t.Fatal(err)
			}
			s.gone = nil
		}
		var samples []observe.Sample
		for text, v := range s.values {
			samples = append(samples, observe.Sample{Series: s.of(text), Value: v})
		}
		if err := s.store.Add(s.t.Context(), s.now, samples); err != nil {
			s.t.Fatal(err)
		}
		s.alerts.turn(s.t.Context(), s.now)
	}
}

// heard returns the rules of all messages since the last call, new ones as they are and those that ended with a minus.
func (s *sim) heard() string {
	var rules []string
	for _, m := range s.messages {
		for _, a := range m.New {
			rules = append(rules, a.Rule)
		}
		for _, a := range m.Resolved {
			rules = append(rules, "-"+a.Rule)
		}
		if m.Kind == notify.Still {
			rules = append(rules, "still")
		}
	}
	s.messages = nil
	slices.Sort(rules)
	return strings.Join(slices.Compact(rules), " ")
}

func itoa(n int) string { return string(rune('0'+n/10)) + string(rune('0'+n%10)) }
