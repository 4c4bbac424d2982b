package diff

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// web, db and migrate are services of three kinds.
func web(replicas int, image string) rhumb.Service {
	return rhumb.Service{Name: "web", Replicas: replicas, Container: rhumb.Container{Image: image}, Order: rhumb.StartFirst,
		Ports: []rhumb.Port{{Published: 80, Target: 80, Protocol: rhumb.TCP}}}
}

func db(image string) rhumb.Service {
	return rhumb.Service{Name: "db", Replicas: 1, Container: rhumb.Container{Image: image}, Order: rhumb.StopFirst, OrderWhy: "mounts volume data read-write"}
}

func migrate(image string) rhumb.Service {
	return rhumb.Service{Name: "migrate", Job: true, Replicas: 1, Container: rhumb.Container{Image: image}}
}

func stack(services ...rhumb.Service) *rhumb.Stack {
	return &rhumb.Stack{Name: "shop", Services: services}
}

func TestDiffNamesWhatDiffersAndNoValues(t *testing.T) {
	a, b := stack(db("a"), web(1, "a")), stack(web(3, "b"), migrate("m"))
	b.Networks = []rhumb.Network{{Name: "shop_back"}}
	b.Volumes = []rhumb.Volume{{Name: "data"}}
	a.Volumes = []rhumb.Volume{{Name: "data", Driver: "local"}}
	was, now := &a.Services[1].Container, &b.Services[0].Container
	was.ImageID, now.ImageID = "sha256:1", "sha256:2"
	was.Env, now.Env = map[string]string{"A": "1", "B": "2", "C": "3"}, map[string]string{"A": "1", "B": "x", "D": "4"}
	was.Command, now.StopGrace = []string{"serve"}, time.Minute
	was.Mounts = []rhumb.Mount{
		{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "db_password", Target: "/run/secrets/db_password", Hash: "1"},
		{Type: rhumb.MountFile, Kind: rhumb.FileProject, Source: "nginx.conf", Target: "/etc/nginx.conf", Hash: "1"},
	}
	now.Mounts = []rhumb.Mount{
		{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "db_password", Target: "/run/secrets/db_password", Hash: "2"},
		{Type: rhumb.MountFile, Kind: rhumb.FileProject, Source: "nginx.conf", Target: "/etc/nginx.conf", Hash: "1"},
		{Type: rhumb.MountVolume, Source: "data", Target: "/data"},
	}
	b.Services[0].Ports[0].Published = 81
	b.Services[0].Order, b.Services[0].OrderWhy = rhumb.StopFirst, "mounts volume data read-write"
	want := []rhumb.Difference{
		{Verb: "changed", What: []string{"network shop_back added", "volume data"}},
		{Service: "db", Verb: "removed", Order: rhumb.StopFirst, Why: "mounts volume data read-write"},
		{Service: "migrate", Verb: "added"},
		{Service: "web", Verb: "changed", Order: rhumb.StopFirst, Why: "mounts volume data read-write", What: []string{
			"image", "command", "environment B", "environment C", "environment D", "stop_grace_period", "mount /data", "secret db_password",
			"replicas 1 -> 3", "order start-first -> stop-first", "ports"}},
	}
	if d := cmp.Diff(want, Stacks(a, b)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

func TestDiffOfTheSameIsEmpty(t *testing.T) {
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

func TestFieldsAreToldInComposesSpelling(t *testing.T) {
	for name, want := range map[string]string{
		"TLS": "tls", "PreStart": "pre_start", "WorkingDir": "working_dir", "TTY": "tty", "PID": "pid", "DNS": "dns", "DNSSearch": "dns_search",
		"MacAddress": "mac_address", "DeviceCgroupRules": "device_cgroup_rules", "StopGrace": "stop_grace_period",
	} {
		if got := fieldWord(name); got != want {
			t.Errorf("%s is told as %q, want %q", name, got, want)
		}
	}
}
