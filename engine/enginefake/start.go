package enginefake

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"rhumb"
)

// starter starts replicas.
type starter struct{ *state }

// Start makes and starts a replica.
func (st *starter) Start(ctx context.Context, spec rhumb.ReplicaSpec) (rhumb.Replica, error) {
	if err := st.enter(ctx, "Start"); err != nil {
		return rhumb.Replica{}, err
	}
	defer st.mu.Unlock()
	before := st.made
	r, err := st.start(&spec)
	if err != nil {
		return rhumb.Replica{}, err
	}
	view := r.at(st.now())
	if st.made > before {
		view.Warnings = r.behaviour.Warnings
	}
	return view, nil
}

func (st *starter) start(spec *rhumb.ReplicaSpec) (*replica, error) {
	now := st.now()
	if old := st.named(spec.Name()); old != nil {
		if old.base.Stack != spec.Stack || old.base.Service != spec.Service || old.base.Spec != spec.Spec {
			return nil, rhumb.Errorf(rhumb.Conflict, "start %s: a replica of that name and another spec is there", spec.Name())
		}
		if old.base.State == rhumb.StateCreated {
			old.begin(now)
			st.report(old)
		}
		return old, nil
	}
	b := st.behaviour(spec)
	if b.StartError != nil {
		return nil, b.StartError
	}
	if err := checkHosts(spec.Hosts); err != nil {
		return nil, err
	}
	if err := st.check(spec, now); err != nil {
		return nil, err
	}
	r := st.make(spec, b, now)
	r.begin(now)
	st.files.open(r)
	st.replicas = slices.Insert(st.replicas, st.place(r), r)
	st.report(r)
	return r, nil
}

// check looks whether all is there that a replica needs, as a real engine would.
func (st *starter) check(spec *rhumb.ReplicaSpec, now time.Time) error {
	c := &spec.Container
	for _, image := range []string{c.ImageID, c.Image} {
		if st.missing[image] != nil || st.removed[image] {
			return rhumb.Errorf(rhumb.Invalid, "make %s: the engine has no image %s", spec.Name(), image)
		}
	}
	for _, a := range c.Networks {
		if _, ok := st.networks[a.Network]; !ok {
			return rhumb.Errorf(rhumb.Invalid, "start %s: network %s not found", spec.Name(), a.Network)
		}
	}
	for _, m := range c.Mounts {
		is := func(f rhumb.File) bool { return f.Kind == m.Kind && f.Name == m.Source }
		if m.Type == rhumb.MountFile && !slices.ContainsFunc(spec.Files, is) {
			return rhumb.Errorf(rhumb.Invalid, "service %s: the %s %s has no content", spec.Service, m.Kind, m.Source)
		}
		if _, there := st.volumes[m.Source]; m.Type == rhumb.MountVolume && m.Source != "" && !there {
			return rhumb.Errorf(rhumb.Invalid, "make %s: volume %s is not there", spec.Name(), m.Source)
		}
	}
	for _, p := range c.HostPorts {
		if other := st.onPort(p, now); other != nil && p.Published != 0 {
			return rhumb.Errorf(rhumb.Conflict, "start %s: port %d is already allocated", spec.Name(), p.Published)
		}
	}
	return nil
}

// onPort returns the running replica that has a port of the host, or nil.
func (st *starter) onPort(p rhumb.Port, now time.Time) *replica {
	for _, r := range st.replicas {
		for _, q := range r.spec.Container.HostPorts {
			if q.Published == p.Published && q.HostIP == p.HostIP && (q.Protocol == rhumb.UDP) == (p.Protocol == rhumb.UDP) {
				if view := r.at(now); view.Alive() {
					return r
				}
			}
		}
	}
	return nil
}

// firstPID is above all process IDs that Linux gives.
const firstPID = 1 << 22

// make makes a replica with its volumes.
func (st *starter) make(spec *rhumb.ReplicaSpec, b Behaviour, now time.Time) *replica {
	st.made++
	r := &replica{spec: *spec, behaviour: b, name: spec.Name(), hosts: maps.Clone(spec.Hosts),
		pid: firstPID + int(st.made)}
	r.base = rhumb.Replica{
		ID: fmt.Sprintf("%064x", st.made), Stack: spec.Stack, Service: spec.Service, Release: spec.Release, Slot: spec.Slot,
		Spec: spec.Spec, Restarts: spec.Restarts, ImageID: spec.Container.ImageID, State: rhumb.StateCreated, Created: now,
		OneOff: spec.OneOff, PostStart: spec.PostStart,
	}
	if spec.OneOff != "" {
		r.base.Slot = 0
	}
	if service, ok := cutService(spec.Container.NetworkMode); ok {
		r.base.Joined = spec.Joined[service]
	}
	if len(spec.Container.Networks) > 0 {
		r.base.Addrs = make(map[string]netip.Addr, len(spec.Container.Networks))
		for _, a := range spec.Container.Networks {
			r.base.Addrs[a.Network] = address(st.made, st.networks[a.Network].number)
		}
		for _, a := range spec.Beside {
			if n, ok := st.networks[a.Network]; ok {
				r.base.Addrs[a.Network] = address(st.made, n.number)
			}
		}
	}
	r.volumes = st.volumesOf(spec)
	return r
}

// address returns an address in the lower half of a network. No other replica there ever gets the same one.
func address(n, network uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], (n+1)&0x7fffff|(10+network%200)<<24) // the first one is the gateway's
	return netip.AddrFrom4(b)
}
