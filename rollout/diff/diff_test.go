package diff

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// web, db and migrate are services of three kinds.
func web(replicas int, image string) rhumb.Service {
	return rhumb.Service{Name: "web", Replicas: replicas, Container: rhumb.Container{Image: image},
		Order: rhumb.StartFirst,
		Ports: []rhumb.Port{{Published: 80, Target: 80, Protocol: rhumb.TCP}}}
}

func db(image string) rhumb.Service {
	return rhumb.Service{Name: "db", Replicas: 1, Container: rhumb.Container{Image: image}, Order: rhumb.StopFirst,
		OrderWhy: "mounts volume data read-write"}
}

func migrate(image string) rhumb.Service {
	return rhumb.Service{Name: "migrate", Job: true, Replicas: 1, Container: rhumb.Container{Image: image}}
}

func stack(services ...rhumb.Service) *rhumb.Stack {
	return &rhumb.Stack{Name: "shop", Services: services}
}

func TestStacksNamesDifferencesAndNoValues(t *testing.T) {
	a, b := stack(db("a"), web(1, "a")), stack(web(3, "b"), migrate("m"))
	b.Networks = []rhumb.Network{{Key: "back", Name: "shop_back"}}
	b.Volumes = []rhumb.Volume{{Key: "data", Name: "data", Driver: "nfs"}}
	a.Volumes = []rhumb.Volume{{Key: "data", Name: "data"}}
	was, now := &a.Services[1].Container, &b.Services[0].Container
	was.ImageID, now.ImageID = "sha256:1", "sha256:2"
	was.Env, now.Env = map[string]string{"A": "1", "B": "2", "C": "3"}, map[string]string{"A": "1", "B": "x", "D": "4"}
	was.Command, now.StopGrace = []string{"serve"}, time.Minute
	was.Mounts = []rhumb.Mount{
		{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "db_password", Target: "/run/secrets/db_password",
			Hash: "1"},
		{Type: rhumb.MountFile, Kind: rhumb.FileProject, Source: "nginx.conf", Target: "/etc/nginx.conf", Hash: "1"},
	}
	now.Mounts = []rhumb.Mount{
		{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "db_password", Target: "/run/secrets/db_password",
			Hash: "2"},
		{Type: rhumb.MountFile, Kind: rhumb.FileProject, Source: "nginx.conf", Target: "/etc/nginx.conf", Hash: "1"},
		{Type: rhumb.MountVolume, Source: "data", Target: "/data"},
	}
	b.Services[0].Ports[0].Published = 81
	b.Services[0].Order, b.Services[0].OrderWhy = rhumb.StopFirst, "mounts volume data read-write"
	want := []rhumb.Difference{
		{Verb: "changed", What: []string{"networks.back added", "volumes.data changed: driver local to nfs"}},
		{Service: "db", Verb: "removed", Order: rhumb.StopFirst, Why: "mounts volume data read-write"},
		{Service: "migrate", Verb: "added"},
		{Service: "web", Verb: "changed", Order: rhumb.StopFirst, Why: "mounts volume data read-write", What: []string{
			"image", "command", "environment B", "environment C", "environment D", "stop_grace_period",
			"mount /data", "secret db_password",
			"replicas 1 -> 3", "order start-first -> stop-first", "ports"}},
	}
	if d := cmp.Diff(want, Stacks(a, b)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestEqualStacksDoNotDiffer(t *testing.T) {
	m := stack(db("a"), web(1, "a"))
	if d := Stacks(m, stack(db("a"), web(1, "a"))); len(d) != 0 {
		t.Errorf("%v", d)
	}
	if d := Stacks(nil, nil); len(d) != 0 {
		t.Errorf("%v", d)
	}
	if d := Stacks(m, nil); len(d) != 2 || d[0].Verb != "removed" {
		t.Errorf("%v", d)
	}
}

func TestFieldsAreNamedAsInCompose(t *testing.T) {
	for name, want := range map[string]string{
		"TLS": "tls", "PreStart": "pre_start", "WorkingDir": "working_dir", "TTY": "tty",
		"PID": "pid", "DNS": "dns", "DNSSearch": "dns_search",
		"MacAddress": "mac_address", "DeviceCgroupRules": "device_cgroup_rules", "StopGrace": "stop_grace_period",
	} {
		if got := fieldWord(name); got != want {
			t.Errorf("%s is named %q, want %q", name, got, want)
		}
	}
}

func TestNetworkNamesWhatChanged(t *testing.T) {
	pool := func(subnet string) rhumb.IPAM { return rhumb.IPAM{Pools: []rhumb.Pool{{Subnet: subnet}}} }
	for name, c := range map[string]struct {
		was, is rhumb.Network
		want    []string
	}{
		"the same": {rhumb.Network{Name: "x"}, rhumb.Network{Name: "x"}, nil},
		"its subnet": {rhumb.Network{Name: "x", IPAM: pool("10.1.0.0/24")},
			rhumb.Network{Name: "x-1", IPAM: pool("10.2.0.0/24")}, []string{"subnet 10.1.0.0/24 to 10.2.0.0/24"}},
		"its first": {rhumb.Network{}, rhumb.Network{IPAM: pool("10.2.0.0/24")},
			[]string{"subnet the engine's choice to 10.2.0.0/24"}},
		"internal": {rhumb.Network{}, rhumb.Network{Internal: true}, []string{"internal false to true"}},
		"its driver": {rhumb.Network{}, rhumb.Network{Driver: "macvlan"},
			[]string{"driver the engine's choice to macvlan"}},
		"options": {rhumb.Network{DriverOpts: map[string]string{"a": "1"}},
			rhumb.Network{DriverOpts: map[string]string{"a": "2"}}, []string{"driver_opts a"}},
		"its name": {rhumb.Network{Name: "x"}, rhumb.Network{Name: "x-1"}, []string{"made again as x-1"}},
		"its gateway": {rhumb.Network{IPAM: pool("")},
			rhumb.Network{IPAM: rhumb.IPAM{Pools: []rhumb.Pool{{Gateway: "10.0.0.2"}}}},
			[]string{"gateway the engine's choice to 10.0.0.2"}},
	} {
		if d := cmp.Diff(c.want, Network(c.was, c.is)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestANetworkIsNamedByItsKey(t *testing.T) {
	on := func(network string) *rhumb.Stack {
		m := stack(web(1, "a"))
		m.Networks = []rhumb.Network{{Key: "n", Name: network, Internal: network != "shop_n"}}
		m.Services[0].Container.Networks = []rhumb.Attachment{{Network: network}}
		return m
	}
	want := []rhumb.Difference{
		{Verb: "changed", What: []string{"networks.n changed: internal false to true"}},
		{Service: "web", Verb: "changed", Order: rhumb.StartFirst, What: []string{"network n"}},
	}
	if d := cmp.Diff(want, Stacks(on("shop_n"), on("shop_n-12345678"))); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestLimitsOfLogsDifferInWords(t *testing.T) {
	of := func(keep time.Duration, size int64) *rhumb.Stack {
		m := stack(web(1, "a"))
		m.Logs = rhumb.LogLimits{Keep: keep, Size: size}
		return m
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		was, is *rhumb.Stack
		want    string
	}{
		"the default, written down": {of(0, 0), of(30*day, 1<<30), ""},
		"the default again":         {of(day, 0), of(0, 0), "logs are kept for 30d, at most 1 GB"},
		"longer":                    {of(0, 0), of(90*day, 0), "logs are kept for 90d, at most 1 GB"},
		"less":                      {of(0, 0), of(0, 512<<20), "logs are kept for 30d, at most 512 MB"},
		"both":                      {of(day, 1<<40), of(36*time.Hour, 3<<29), "logs are kept for 36h, at most 1536 MB"},
		"odd": {of(0, 0), of(90*time.Minute, 20_000_001),
			"logs are kept for 1h30m, at most 20000001 bytes"},
		"odder": {of(0, 0), of(time.Hour+time.Second, 1<<50), "logs are kept for 1h0m1s, at most 1024 TB"},
	} {
		got := Stacks(c.was, c.is)
		var want []rhumb.Difference
		if c.want != "" {
			want = []rhumb.Difference{{Verb: "changed", What: []string{c.want}}}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	first, last := Stacks(nil, of(day, 0)), Stacks(of(day, 0), nil)
	if len(first) != 2 || first[0].What[0] != "logs are kept for 1d, at most 1 GB" || len(last) != 1 {
		t.Errorf("at first %v, at last %v", first, last)
	}
}

func TestAlertsAndMetricsDifferInWords(t *testing.T) {
	of := func(port uint16, rules ...rhumb.AlertRule) *rhumb.Stack {
		m := stack(web(1, "a"))
		m.Alerts = rules
		if port != 0 {
			m.Services[0].Metrics = &rhumb.Scrape{Port: port}
		}
		return m
	}
	busy := rhumb.AlertRule{Name: "busy", Service: "web", Expr: "a > 1", At: "compose.yaml:3"}
	moved, busier, off := busy, busy, rhumb.AlertRule{Name: "Unhealthy", Off: true}
	moved.At, busier.Expr = "compose.yaml:4", "a > 2"
	for name, c := range map[string]struct {
		was, is *rhumb.Stack
		want    []rhumb.Difference
	}{
		"moved": {of(0, busy), of(0, moved), nil},
		"changed": {of(0, busy), of(0, busier), []rhumb.Difference{{Verb: "changed",
			What: []string{"alert busy of web changed"}}}},
		"others": {of(0, busy), of(0, off), []rhumb.Difference{{Verb: "changed",
			What: []string{"alert Unhealthy is off", "alert busy of web removed"}}}},
		"added": {of(0), of(0, busy), []rhumb.Difference{{Verb: "changed", What: []string{"alert busy of web added"}}}},
		"metrics": {of(0), of(80), []rhumb.Difference{{Service: "web", Verb: "changed", Order: rhumb.StartFirst,
			What: []string{"metrics"}}}},
	} {
		if d := cmp.Diff(c.want, Stacks(c.was, c.is)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	if ds := Stacks(of(0, busy), nil); len(ds) != 1 {
		t.Errorf("at last %v", ds)
	}
}
