package look

import (
	"log/slog"
	"math"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/metrics"
)

// series returns a series; labels are names and values in turn, sorted by name.
func series(name string, labels ...string) *observe.Series {
	s := &observe.Series{Name: name}
	for i := 0; i < len(labels); i += 2 {
		s.Labels = append(s.Labels, observe.Label{Name: labels[i], Value: labels[i+1]})
	}
	return s
}

// measured returns a store with two minutes of a shop: counters grow by the given numbers a second.
func measured(t *testing.T) *metrics.Store {
	t.Helper()
	store, err := metrics.Open(metrics.Options{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	replica := []string{"release", "41", "replica", "shop-web.41.1", "service", "web", "stack", "shop"}
	second := []string{"release", "41", "replica", "shop-web.41.2", "service", "web", "stack", "shop"}
	route := []string{"backend", "shop/web:80", "release", "41", "service", "web", "stack", "shop"}
	bucket := func(le string) *observe.Series {
		return series("rhumb_request_duration_seconds_bucket", "backend", "shop/web:80", "le", le, "release", "41",
			"service", "web", "stack", "shop")
	}
	grows := map[*observe.Series]float64{
		series("rhumb_replica_cpu_seconds_total", replica...):            0.5,
		series("rhumb_replica_cpu_seconds_total", second...):             0.25,
		series("rhumb_replica_network_received_bytes_total", replica...): 1000,
		series("rhumb_replica_network_sent_bytes_total", replica...):     2000,
		series("rhumb_requests_total", route...):                         10,
		series("rhumb_request_errors_total", route...):                   1,
		bucket("0.1"): 9, bucket("0.25"): 10, bucket("+Inf"): 10,
		series("rhumb_node_cpu_seconds_total", "mode", "user"):   0.5,
		series("rhumb_node_cpu_seconds_total", "mode", "idle"):   1.4,
		series("rhumb_node_cpu_seconds_total", "mode", "iowait"): 0.1,
	}
	stays := map[*observe.Series]float64{
		series("rhumb_replica_memory_bytes", replica...): 1e6, series("rhumb_replica_memory_bytes", second...): 2e6,
		series("rhumb_replica_memory_limit_bytes", replica...): 4e6, series("rhumb_replica_open", replica...): 3,
		series("rhumb_node_cpus"): 2, series("rhumb_node_load1"): 0.7, series("rhumb_node_boot_seconds"): 1000,
		series("rhumb_node_memory_bytes"): 8e9, series("rhumb_node_memory_available_bytes"): 2e9,
		series("rhumb_node_disk_bytes", "path", "/"): 100, series("rhumb_node_disk_available_bytes", "path", "/"): 30,
	}
	for began, s := time.Now().Add(-2*time.Minute), 0; s <= 120; s += 5 {
		var samples []observe.Sample
		for of, v := range grows {
			samples = append(samples, observe.Sample{Series: of, Value: v * float64(s)})
		}
		for of, v := range stays {
			samples = append(samples, observe.Sample{Series: of, Value: v})
		}
		if err := store.Add(t.Context(), began.Add(time.Duration(s)*time.Second), samples); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// near fails unless a figure is about as large as it should be.
func near(t *testing.T, name string, got *float64, want float64) {
	t.Helper()
	if got == nil || math.Abs(*got-want) > 0.02*want {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

func TestTheExpressionsOfTopFindWhatIsMeasured(t *testing.T) {
	store := measured(t)
	list, err := usages(t.Context(), store, "shop", false)
	if err != nil || len(list) != 1 {
		t.Fatalf("the services are %+v, %v", list, err)
	}
	u := list[0]
	if u.Stack != "shop" || u.Service != "web" || u.Replicas != 2 || u.Limit != nil {
		t.Errorf("the service is %+v", u)
	}
	near(t, "CPU", u.CPU, 0.75)
	near(t, "memory", u.Memory, 3e6)
	near(t, "received", u.Received, 1000)
	near(t, "sent", u.Sent, 2000)
	near(t, "open", u.Open, 3)
	near(t, "requests", u.Requests, 10)
	near(t, "errors", u.Errors, 1)
	near(t, "p95", u.P95, 0.175)
	list, err = usages(t.Context(), store, "", true)
	if err != nil || len(list) != 2 || list[0].Replica != "shop-web.41.1" || list[0].Release != 41 {
		t.Fatalf("the replicas are %+v, %v", list, err)
	}
	near(t, "limit", list[0].Limit, 4e6)
	near(t, "CPU of the second", list[1].CPU, 0.25)
	if list, err := usages(t.Context(), store, `b"log`, false); err != nil || len(list) > 0 {
		t.Errorf("of another stack: %+v, %v", list, err)
	}
}

func TestTheExpressionsOfNodesFindTheMachine(t *testing.T) {
	f, err := readFigures(t.Context(), measured(t), machineExprs)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "busy", f.one("busy"), 0.25)
	near(t, "load", f.one("load"), 0.7)
	near(t, "taken", f.one("taken"), 0.75)
	near(t, "boot", f.one("boot"), 1000)
	if disks := disksOf(f); len(disks) != 1 || disks[0].Path != "/" || disks[0].Size != 100 || disks[0].Left != 30 {
		t.Errorf("the disks are %+v", disks)
	}
}

var _ rhumb.Metrics = (*metrics.Store)(nil)
