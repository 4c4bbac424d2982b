package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/httpapi/client"
	"rhumb/vip"
)

// trio is a stack of three services that change in different ways: a database stop-first, the others start-first,
// after a job.
const trio = `
services:
  migrate:
    image: rhumb-test/app:1
    command: [exit, "0"]
    environment: {RELEASE: "${V}"}
  db:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}"}
    volumes: [data:/data]
    x-rhumb: {ready: {tcp: 8000}}
  api:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}"}
    secrets: [token]
    depends_on: {db: {condition: service_started}, migrate: {condition: service_completed_successfully}}
    x-rhumb: {ready: {http: /health, port: 8000}, drain: 1s}
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}", ADDR: "${WEB_ADDR:-}", EXIT_AFTER: "${WEB_EXIT:-}"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    depends_on: [api]
    deploy: {replicas: 2, update_config: {parallelism: 2, order: start-first, monitor: 0s}}
    x-rhumb: {drain: 2s}
volumes: {data: }
secrets: {token: {file: ./token}}
`

// dialled returns a client of the server's API, for what the command line doesn't show.
func (s *server) dialled() *client.Client {
	s.t.Helper()
	c, err := client.New("unix://" + s.socket)
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// trioStack is the trio at a version: what its variables and its secret say.
type trioStack struct {
	*stack
	v int
}

func newTrio(t *testing.T, s *server) *trioStack {
	t.Helper()
	k := &trioStack{stack: newStack(t, s, trio)}
	k.version(1)
	return k
}

// version makes the next deployment a change of everything.
func (k *trioStack) version(v int) {
	k.v = v
	k.env = []string{fmt.Sprintf("V=%d", v)}
	k.write("token", k.token(v))
}

// failing makes the next deployment one that fails at its very end.
func (k *trioStack) failing(v int) {
	k.version(v)
	k.env = append(k.env, "WEB_ADDR=none", "WEB_EXIT=100ms")
}

func (k *trioStack) token(v int) string { return fmt.Sprintf("token %d of %s", v, k.name) }

// settled waits until the last deployment has ended and the stack is whole. It returns the deployment.
func (k *stack) settled(limit time.Duration) rhumb.Deployment {
	k.t.Helper()
	c := k.s.dialled()
	defer c.Close()
	var last rhumb.Deployment
	eventually(k.t, limit, "the deployment ends and the stack is whole", func() error {
		ctx, cancel := context.WithTimeout(k.t.Context(), limit)
		defer cancel()
		var err error
		if last, err = c.Deployment(ctx, k.name, 0); err != nil {
			return err
		}
		if !last.Phase.Ended() {
			return fmt.Errorf("it is still %s", last.Phase)
		}
		return k.whole(ctx, c)
	})
	if last.Phase != rhumb.PhaseConverged && last.Phase != rhumb.PhaseRolledBack {
		k.t.Fatalf("it ended %s", last.Phase)
	}
	return last
}

// whole checks that the store, the engine and the proxy say the same of the stack, and that nothing else is there.
func (k *stack) whole(ctx context.Context, c *client.Client) error {
	st, err := c.Status(ctx, k.name)
	if err != nil {
		return err
	}
	releases, err := c.Releases(ctx, k.name)
	if err != nil {
		return err
	}
	current := slices.IndexFunc(releases, func(r rhumb.ReleaseInfo) bool { return r.Current })
	if current < 0 || releases[current].Number != st.Release {
		return fmt.Errorf("no release is current, or not the one that the status names: %d", st.Release)
	}
	found, err := k.observed()
	if err != nil {
		return err
	}
	if err := k.segments(found); err != nil {
		return err
	}
	routed, err := k.routed()
	if err != nil {
		return err
	}
	for _, svc := range st.Services {
		if err := k.alike(svc, releases[current].Specs[svc.Name], found, routed); err != nil {
			return fmt.Errorf("%s: %w", svc.Name, err)
		}
	}
	switch {
	case len(found) > 0:
		return fmt.Errorf("containers that the server doesn't know: %v", slices.Collect(maps.Keys(found)))
	case len(routed) > 0:
		return fmt.Errorf("the proxy leads to what isn't there: %v", routed)
	}
	return k.belongings(releases[current].Specs["db"] != "")
}

// alike checks a service: as many replicas as are wanted, of the right spec, and routed if the service is. What it
// has seen it takes out of the maps.
func (k *stack) alike(svc rhumb.ServiceStatus, spec string, found map[string]container,
	routed map[string]netip.Addr) error {
	if len(svc.Slots) > svc.Replicas || !svc.Job && svc.Ready != svc.Replicas {
		return fmt.Errorf("%d replicas, %d ready, want %d", len(svc.Slots), svc.Ready, svc.Replicas)
	}
	for _, r := range svc.Slots {
		box, ok := found[r.ID]
		if !ok {
			return fmt.Errorf("%s isn't in the engine", r.Name)
		}
		delete(found, r.ID)
		if box.name != r.Name || box.labels["dev.rhumb.spec"] != r.Spec || r.Spec != spec {
			return fmt.Errorf("%s has the spec %.8s, the server says %.8s, the release %.8s", box.name,
				box.labels["dev.rhumb.spec"], r.Spec, spec)
		}
		if !svc.Job && !box.running {
			return fmt.Errorf("%s doesn't run", r.Name)
		}
		at, ok := routed[r.ID]
		if ok != (len(svc.Address) > 0) {
			return fmt.Errorf("%s is routed: %v", r.Name, ok)
		}
		if ok && !slices.Contains(box.addrs, at) {
			return fmt.Errorf("%s is at %v, the proxy looks for it at %v", r.Name, box.addrs, at)
		}
		delete(routed, r.ID)
	}
	return nil
}

// container is one as the engine shows it.
type container struct {
	name    string
	running bool
	labels  map[string]string
	addrs   []netip.Addr
}

// observed returns the stack's containers by ID, including dead ones: those with its label and those with its name.
func (k *stack) observed() (map[string]container, error) {
	ids := map[string]bool{}
	for _, filter := range []string{"label=dev.rhumb.stack=" + k.name, "name=^" + k.name + "-"} {
		for _, id := range strings.Fields(docker(k.t, "ps", "-aq", "--no-trunc", "--filter", filter)) {
			ids[id] = true
		}
	}
	found := map[string]container{}
	if len(ids) == 0 {
		return found, nil
	}
	out, err := dockerOutput(append([]string{"container", "inspect"}, slices.Collect(maps.Keys(ids))...)...)
	if err != nil {
		return nil, err // one may have gone meanwhile
	}
	var list []struct {
		ID, Name string
		State    struct{ Running bool }
		Config   struct{ Labels map[string]string }
		Network  struct {
			Networks map[string]struct{ IPAddress string }
		} `json:"NetworkSettings"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return nil, err
	}
	for _, x := range list {
		box := container{name: strings.TrimPrefix(x.Name, "/"), running: x.State.Running, labels: x.Config.Labels}
		for _, n := range x.Network.Networks {
			if a, err := netip.ParseAddr(n.IPAddress); err == nil {
				box.addrs = append(box.addrs, a)
			}
		}
		found[x.ID] = box
	}
	return found, nil
}

// routed returns the replicas in the table that the proxy keeps on disk. A draining one is an error.
func (k *stack) routed() (map[string]netip.Addr, error) {
	table, err := k.s.table()
	if err != nil {
		return nil, err
	}
	routed := map[string]netip.Addr{}
	for _, b := range table.Backends {
		for _, e := range b.Endpoints {
			if b.Stack == k.name {
				routed[e.Replica] = e.Addr.Addr()
				if e.Draining {
					return nil, fmt.Errorf("%s still drains", e.Name)
				}
			}
		}
	}
	return routed, nil
}

// table reads the table that the proxy keeps on disk.
func (s *server) table() (table rhumb.Table, err error) {
	b, err := os.ReadFile(filepath.Join(s.data, "proxy", "table.json"))
	if errors.Is(err, os.ErrNotExist) {
		return table, nil
	}
	if err != nil {
		return table, err
	}
	b, _, _ = bytes.Cut(b, []byte("\n")) // its checksum follows
	return table, json.Unmarshal(b, &table)
}

// innerURL returns the address of a service inside the stack, or "" on a machine without service addresses.
func (k *stack) innerURL(service string) string {
	k.t.Helper()
	table, err := k.s.table()
	if err != nil {
		k.t.Fatal(err)
	}
	for _, seg := range table.Segments {
		for _, s := range seg.Services {
			if seg.Stack == k.name && s.Service == service {
				return fmt.Sprintf("http://%s:8000/", s.Addr)
			}
		}
	}
	if mustWork() {
		k.t.Fatalf("%s has no address inside the stack", service)
	}
	k.t.Log("there are no service addresses on this machine")
	return ""
}

// segments checks that service addresses reach the replicas, and that no namespace is left over.
func (k *stack) segments(found map[string]container) error {
	table, err := k.s.table()
	if err != nil {
		return err
	}
	want := 0
	for _, seg := range table.Segments {
		want++
		for _, s := range seg.Services {
			for _, e := range s.Endpoints {
				if box, ok := found[e.Replica]; seg.Stack == k.name && (!ok || !slices.Contains(box.addrs, e.Addr.Addr())) {
					return fmt.Errorf("the address of %s leads to %s, which isn't at %v", s.Service, e.Name, e.Addr)
				}
			}
		}
	}
	if got := len(k.s.namespaces()); got != want {
		return fmt.Errorf("%d namespaces for %d networks", got, want)
	}
	return nil
}

// namespaces lists the namespaces of the server's service addresses.
func (s *server) namespaces() []string {
	all, err := filepath.Glob("/run/netns/rhumb-" + vip.InstanceOf(filepath.Join(s.data, "proxy")) + "-*")
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// belongings checks that the stack's networks, volumes and contents in memory are those of its model, and no others.
func (k *stack) belongings(volume bool) error {
	want := map[string]string{"network": k.name + "_default", "volume": k.name + "_data"}
	if !volume {
		delete(want, "volume")
	}
	for _, kind := range []string{"network", "volume"} {
		if got := strings.TrimSpace(docker(k.t, kind, "ls", "--format", "{{.Name}}", "--filter",
			"name=^"+k.name)); got != want[kind] {
			return fmt.Errorf("%ss: %q, want %q", kind, got, want[kind])
		}
	}
	return nil
}

// tokens checks that of the secret's contents only the one of a version is in memory.
func (k *trioStack) tokens(v int) error {
	for _, content := range kept(k.t) {
		if strings.HasSuffix(content, " of "+k.name) && content != k.token(v) {
			return fmt.Errorf("the content of another release is still there: %q", content)
		}
	}
	return nil
}
