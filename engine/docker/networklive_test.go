package docker_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker"
)

// bridge returns the only bridge of a stack.
func bridge(t *testing.T, e *docker.Engine, stack string) rhumb.Bridge {
	t.Helper()
	h, err := e.Holdings(t.Context(), stack)
	if err != nil || len(h.Bridges) != 1 || len(h.Networks) != 1 {
		t.Fatalf("holdings: %+v, %v", h, err)
	}
	return h.Bridges[0]
}

// ensure makes a network, twice.
func ensure(t *testing.T, e *docker.Engine, stack string, n rhumb.Network) {
	t.Helper()
	for range 2 {
		if err := e.EnsureNetwork(t.Context(), stack, n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestANetworkIsMadeInTheSubnetThatTheEngineChose(t *testing.T) {
	e, stack := need(t), stackName(t)
	// As if an earlier call had been cut off after its draft.
	c := raw(t)
	labels := map[string]string{"dev.rhumb.stack": stack}
	if _, err := c.NetworkCreate(t.Context(), stack+"_n.draft", client.NetworkCreateOptions{Labels: labels}); err != nil {
		t.Fatal(err)
	}
	ensure(t, e, stack, rhumb.Network{Name: stack + "_n", Internal: true})
	b := bridge(t, e, stack)
	if b.Addresses.Bits() != b.Subnet.Bits()+1 || !b.Subnet.Contains(b.Addresses.Addr()) ||
		b.Gateway != b.Subnet.Addr().Next() {
		t.Errorf("bridge: %+v", b)
	}
}

func TestASubnetOfTheUsersIsDividedUnlessHeDidThat(t *testing.T) {
	e := need(t)
	for name, c := range map[string]struct {
		pool      rhumb.Pool
		addresses string
	}{
		"a subnet": {rhumb.Pool{Subnet: "10.217.1.0/24"}, "10.217.1.128/25"},
		"with a range": {rhumb.Pool{Subnet: "10.217.2.0/24", IPRange: "10.217.2.192/26", Gateway: "10.217.2.1"},
			"10.217.2.128/26"},
		"with aux": {rhumb.Pool{Subnet: "10.217.3.0/24", Gateway: "10.217.3.129",
			Aux: map[string]string{"nas": "10.217.3.1"}}, "10.217.3.192/26"},
		"too small":     {rhumb.Pool{Subnet: "10.217.4.0/28"}, ""},
		"a whole range": {rhumb.Pool{Subnet: "10.217.5.0/24", IPRange: "10.217.5.0/24"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			stack := stackName(t)
			n := rhumb.Network{Name: stack + "_n", IPAM: rhumb.IPAM{Pools: []rhumb.Pool{c.pool}}}
			ensure(t, e, stack, n)
			b := bridge(t, e, stack)
			if b.Addresses.IsValid() != (c.addresses != "") || b.Addresses.IsValid() && b.Addresses.String() != c.addresses {
				t.Errorf("bridge: %+v, want %s", b, c.addresses)
			}
			i, err := raw(t).NetworkInspect(t.Context(), b.ID, client.NetworkInspectOptions{Verbose: true})
			if err != nil {
				t.Fatal(err)
			}
			s := spec(t, stack, "web", 1)
			s.Container.NetworkMode, s.Container.Networks = "", []rhumb.Attachment{{Network: n.Name}}
			free := start(t, e, s)
			if a := free.Addrs[n.Name]; !b.Subnet.Contains(a) || b.Addresses.IsValid() && b.Addresses.Contains(a) ||
				a == b.Gateway {
				t.Errorf("replica at %v: %+v, %+v", a, b, i.Network.IPAM)
			}
			if fixed := lastBut(b.Subnet, 1); b.Subnet.Bits() == 24 { // static addresses may be anywhere in the subnet
				s.Slot, s.Container.Networks = 2, []rhumb.Attachment{{Network: n.Name, IPv4: fixed}}
				if a := start(t, e, s).Addrs[n.Name]; a.String() != fixed {
					t.Errorf("fixed at %v, want %s", a, fixed)
				}
			}
		})
	}
}

// lastBut returns the n-th address before the last one of a /24.
func lastBut(p netip.Prefix, n byte) string {
	b := p.Masked().Addr().As4()
	b[3] = 255 - n
	return netip.AddrFrom4(b).String()
}

func TestANetworkOfAnOlderVersionGoesOnWithoutServiceAddresses(t *testing.T) {
	e, stack := need(t), stackName(t)
	n := rhumb.Network{Name: stack + "_n"}
	ensure(t, e, stack, n)
	c := raw(t)
	i, err := c.NetworkInspect(t.Context(), n.Name, client.NetworkInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.NetworkRemove(t.Context(), i.Network.ID, client.NetworkRemoveOptions{}); err != nil {
		t.Fatal(err)
	}
	// The same labels, and no range.
	if _, err := c.NetworkCreate(t.Context(), n.Name, client.NetworkCreateOptions{Labels: i.Network.Labels}); err != nil {
		t.Fatal(err)
	}
	ensure(t, e, stack, n)
	if b := bridge(t, e, stack); b.Addresses.IsValid() || !b.Subnet.Contains(b.Gateway) {
		t.Errorf("bridge: %+v", b)
	}
}

func TestASubnetTakenMeanwhileIsReplaced(t *testing.T) {
	e, stack := need(t), stackName(t)
	c := raw(t)
	// Others make and remove networks all the time: each in the next subnet that is free.
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var made []string
		for ctx.Err() == nil && len(made) < 6 {
			if r, err := c.NetworkCreate(context.Background(), stack+"_other", client.NetworkCreateOptions{}); err == nil {
				made = append(made, r.ID)
			}
			if len(made) > 2 || ctx.Err() != nil {
				_, _ = c.NetworkRemove(context.Background(), made[0], client.NetworkRemoveOptions{})
				made = slices.Delete(made, 0, 1)
			}
		}
		for _, id := range made {
			_, _ = c.NetworkRemove(context.Background(), id, client.NetworkRemoveOptions{})
		}
	}()
	defer func() { cancel(); <-done }()
	for range 5 {
		if err := e.EnsureNetwork(t.Context(), stack, rhumb.Network{Name: stack + "_n"}); err != nil {
			t.Fatal(err)
		}
		b := bridge(t, e, stack)
		t.Logf("%v, services %v", b.Subnet, b.Addresses)
		if err := e.RemoveNetwork(t.Context(), stack, stack+"_n"); err != nil {
			t.Fatal(err)
		}
	}
}
