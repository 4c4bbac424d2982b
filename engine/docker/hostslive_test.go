package docker_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/moby/moby/client"

	"rhumb"
)

func TestHostsOutliveConnectionsMadeByHand(t *testing.T) {
	e, stack := need(t), stackName(t)
	for _, n := range []string{"_a", "_b"} {
		if err := e.EnsureNetwork(t.Context(), stack, rhumb.Network{Name: stack + n}); err != nil {
			t.Fatal(err)
		}
	}
	s := spec(t, stack, "web", 1)
	s.Container.NetworkMode, s.Container.Hostname = "", "front"
	s.Container.Networks = []rhumb.Attachment{{Network: stack + "_a"}}
	s.Hosts = map[string]string{"api": "10.9.0.1", "db": "10.9.0.2"}
	r := start(t, e, s)
	before := hosts(t, e, r.ID)
	if before["front"] != r.Addrs[stack+"_a"].String() {
		t.Fatalf("its own name: %v, address %v", before, r.Addrs)
	}
	if err := e.SetHosts(t.Context(), r.ID, map[string]string{"api": "10.9.0.3"}); err != nil {
		t.Fatal(err)
	}
	want := maps.Clone(before)
	delete(want, "db")
	want["api"] = "10.9.0.3"
	if got := hosts(t, e, r.ID); !maps.Equal(got, want) {
		t.Errorf("hosts %v, want %v", got, want)
	}
	c := raw(t)
	if _, err := c.NetworkConnect(t.Context(), stack+"_b", client.NetworkConnectOptions{Container: r.ID}); err != nil {
		t.Fatal(err)
	}
	if got := hosts(t, e, r.ID); got["api"] != "10.9.0.3" || got["front"] != want["front"] {
		t.Errorf("after a connection: %v", got)
	}
	if _, err := c.NetworkDisconnect(t.Context(), stack+"_b",
		client.NetworkDisconnectOptions{Container: r.ID}); err != nil {
		t.Fatal(err)
	}
	if got := hosts(t, e, r.ID); got["api"] != "10.9.0.3" { // the engine takes its own name away, of both networks
		t.Errorf("after the disconnection: %v", got)
	}
	// Started again by hand it has the hosts of its start, until they are set again.
	if _, err := c.ContainerRestart(t.Context(), r.ID, client.ContainerRestartOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := e.SetHosts(t.Context(), r.ID, map[string]string{"api": "10.9.0.3"}); err != nil {
		t.Fatal(err)
	}
	if got := hosts(t, e, r.ID); got["api"] != "10.9.0.3" || got["db"] != "" {
		t.Errorf("after a restart by hand: %v", got)
	}
}

func TestHostsOfReplicasWithoutAFileOfTheirOwn(t *testing.T) {
	e, stack := need(t), stackName(t)
	s := spec(t, stack, "host", 1)
	s.Container.NetworkMode, s.Hosts = "host", map[string]string{"api": "10.9.0.1"}
	onHost := start(t, e, s)
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	s.Slot, s.Hosts = 2, nil
	plain := start(t, e, s)
	if got, plain := hosts(t, e, onHost.ID), hosts(t, e, plain.ID); got["api"] != "10.9.0.1" || got[name] != plain[name] {
		t.Errorf("on the machine's network: %v, without further names %v", got, plain)
	}
	if err := e.SetHosts(t.Context(), onHost.ID, map[string]string{"api": "10.9.0.2"}); err != nil {
		t.Fatal(err)
	}
	if got := hosts(t, e, onHost.ID); got["api"] != "10.9.0.2" {
		t.Errorf("on the machine's network, set later: %v", got)
	}

	own := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(own, []byte("10.1.1.1 mine\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	s = spec(t, stack, "mounts", 1)
	s.Container.Mounts = []rhumb.Mount{{Type: rhumb.MountBind, Source: own, Target: "/etc/hosts"}}
	mounts := start(t, e, s)
	s = spec(t, stack, "joins", 1)
	s.Container.NetworkMode, s.Joined = "service:mounts", map[string]string{"mounts": onHost.ID}
	joins := start(t, e, s)
	for _, r := range []rhumb.Replica{mounts, joins} {
		if err := e.SetHosts(t.Context(), r.ID, map[string]string{"db": "10.9.0.2"}); err != nil {
			t.Errorf("%s: %v", r.Name(), err)
		}
	}
	if b, err := os.ReadFile(own); err != nil || string(b) != "10.1.1.1 mine\n" {
		t.Errorf("the user's own file is changed: %q, %v", b, err)
	}
	if got := hosts(t, e, onHost.ID); got["db"] != "" {
		t.Errorf("set through one that joins it: %v", got)
	}
}
