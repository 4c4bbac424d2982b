package directory

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

// in returns an attachment to a network, with aliases.
func in(network string, aliases ...string) rhumb.Attachment {
	return rhumb.Attachment{Network: network, Aliases: aliases}
}

// on returns a service in some networks.
func on(name string, networks ...rhumb.Attachment) rhumb.Service {
	return rhumb.Service{Name: name, Replicas: 1, Container: rhumb.Container{Networks: networks}}
}

func at(service, addr string) rhumb.ServiceAddress {
	return rhumb.ServiceAddress{Service: service, Addr: netip.MustParseAddr(addr)}
}

// town is a stack in the segments front and back, and in the network outside, where services have no addresses.
func town() Directory {
	job := on("job", in("back", "job"))
	job.Job = true
	return Directory{
		segments: []rhumb.Segment{
			{Network: "back", Services: []rhumb.ServiceAddress{at("api", "10.2.0.1"), at("db", "10.2.0.2")}},
			{Network: "front", Services: []rhumb.ServiceAddress{at("api", "10.1.0.1"), at("web", "10.1.0.3")}},
		},
		models: []*rhumb.Stack{
			{Services: []rhumb.Service{
				on("api", in("back", "api", "backend"), in("front", "api", "v1")),
				on("db", in("back", "db", "store", "no name")),
				job,
			}},
			{Services: []rhumb.Service{
				on("db", in("back", "db", "old")),
				on("web", in("front", "web"), in("outside", "web", "shared")),
			}},
		},
	}
}

func TestNamesAreThoseOfServicesInSharedNetworks(t *testing.T) {
	first := in("front")
	first.Priority = 10
	all := map[string]string{
		"api": "10.2.0.1", "backend": "10.2.0.1", "db": "10.2.0.2", "store": "10.2.0.2", "web": "10.1.0.3",
	}
	for _, c := range []struct {
		name   string
		caller rhumb.Container
		want   map[string]string
	}{
		{"one network", rhumb.Container{Networks: []rhumb.Attachment{in("back")}},
			map[string]string{"api": "10.2.0.1", "backend": "10.2.0.1", "db": "10.2.0.2", "store": "10.2.0.2"}},
		{"two networks, by name", rhumb.Container{Networks: []rhumb.Attachment{in("front"), in("back")}},
			all},
		{"two networks, by priority", rhumb.Container{Networks: []rhumb.Attachment{in("back"), first}},
			map[string]string{
				"api": "10.1.0.1", "v1": "10.1.0.1", "db": "10.2.0.2", "store": "10.2.0.2", "web": "10.1.0.3",
			}},
		{"a network without addresses", rhumb.Container{Networks: []rhumb.Attachment{in("outside")}},
			map[string]string{}},
		{"the server's own network", rhumb.Container{NetworkMode: "host"},
			all},
		{"no network", rhumb.Container{NetworkMode: "none"}, map[string]string{}},
		{"another's network", rhumb.Container{NetworkMode: "service:api"}, map[string]string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, town().Names(&c.caller)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

func TestANameThatTwoServicesShareIsLeftOut(t *testing.T) {
	d := town()
	d.models[0].Services[1].Container.Networks[0].Aliases = []string{"db", "backend", "store"}
	got := d.Names(&rhumb.Container{Networks: []rhumb.Attachment{in("back")}})
	if diff := cmp.Diff(map[string]string{"api": "10.2.0.1", "db": "10.2.0.2", "store": "10.2.0.2"}, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestAReplicaInAnOldNetworkStillFindsServices(t *testing.T) {
	d := town()
	d.models[0].Services[0] = on("api", in("new", "api", "backend"))
	want := map[string]string{"db": "10.2.0.2", "store": "10.2.0.2", "api": "10.2.0.1", "v0": "10.2.0.1"}
	d.models[1].Services = append(d.models[1].Services, on("api", in("back", "api", "v0")))
	got := d.Names(&rhumb.Container{Networks: []rhumb.Attachment{in("back")}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
