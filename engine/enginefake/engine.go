// Package enginefake is rhumb's engine in memory, with a clock and faults that a test holds in its hands.
//
// The fake has no timers: every call computes the state of a replica from the clock. Start and Stop return at once.
// The only goroutines are those of Watch.
package enginefake

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Engine is an engine in memory. It implements rhumb.Engine and rhumb.Images, and is safe for concurrent use.
type Engine struct {
	now func() time.Time

	mu         sync.Mutex
	api        string
	away       bool
	lossy      bool
	faults     map[string]*fault
	behaviours map[key]Behaviour
	interpret  func(rhumb.ReplicaSpec) Behaviour

	replicas []*replica // by stack, service, release, slot
	made     uint32     // replicas ever made: the source of IDs and addresses
	joined   uint32     // networks ever made
	networks map[string]holding
	volumes  map[string]holding
	images   map[string]rhumb.Image // by reference: those that the engine has
	scripted map[string]rhumb.Image // by reference: what a registry would give
	missing  map[string]error       // by reference or ID
	fetched  map[string]time.Time   // image IDs: those that rhumb pulled or built, and when
	removed  map[string]bool        // image IDs that the engine had and has no more
	kept     map[string]string      // rhumb's names: image ID
	watchers map[*watcher]bool
	changed  chan struct{} // closed at each change, and replaced
}

var (
	_ rhumb.Engine        = (*Engine)(nil)
	_ rhumb.Images        = (*Engine)(nil)
	_ rhumb.Prober        = (*Engine)(nil)
	_ rhumb.HostsSetter   = (*Engine)(nil)
	_ rhumb.LogReader     = (*Engine)(nil)
	_ rhumb.CommandRunner = (*Engine)(nil)
)

// New returns an engine whose clock is now. The engine calls now from any goroutine.
func New(now func() time.Time) *Engine {
	return &Engine{
		now: now, api: "1.56", faults: map[string]*fault{}, behaviours: map[key]Behaviour{},
		networks: map[string]holding{}, volumes: map[string]holding{},
		images: map[string]rhumb.Image{}, scripted: map[string]rhumb.Image{}, missing: map[string]error{},
		fetched: map[string]time.Time{}, removed: map[string]bool{}, kept: map[string]string{},
		watchers: map[*watcher]bool{}, changed: make(chan struct{}),
	}
}

// enter begins a call: it locks, unless the engine is away or the call is to fail.
func (e *Engine) enter(ctx context.Context, call string) error {
	if err := ctx.Err(); err != nil {
		code := rhumb.Cancelled
		if err == context.DeadlineExceeded {
			code = rhumb.Timeout
		}
		return rhumb.Errorf(code, "%s: %w", call, err)
	}
	e.mu.Lock()
	if e.away {
		e.mu.Unlock()
		return rhumb.Errorf(rhumb.Unavailable, "%s: the engine can't be reached", call).WithHint("is Docker running?")
	}
	if f := e.faults[call]; f != nil && f.times != 0 {
		f.times--
		e.mu.Unlock()
		return f.err
	}
	return nil
}

// SetAPI sets the version of the API that the engine says it speaks; it does all the same what newer ones do.
func (e *Engine) SetAPI(version string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.api = version
}

// Info describes the engine.
func (e *Engine) Info(ctx context.Context) (rhumb.EngineInfo, error) {
	if err := e.enter(ctx, "Info"); err != nil {
		return rhumb.EngineInfo{}, err
	}
	defer e.mu.Unlock()
	return rhumb.EngineInfo{Name: "fake", Version: "1", APIVersion: e.api, OS: "linux", Arch: "amd64", Root: "/nowhere",
		CPUs: 1, Memory: 1 << 30}, nil
}

// Replicas lists the replicas of a stack. Their Addrs are shared: they must not be written to.
func (e *Engine) Replicas(ctx context.Context, stack string) ([]rhumb.Replica, error) {
	if err := e.enter(ctx, "Replicas"); err != nil {
		return nil, err
	}
	defer e.mu.Unlock()
	now := e.now()
	list := make([]rhumb.Replica, 0, len(e.replicas))
	for _, r := range e.replicas {
		if stack == "" || r.base.Stack == stack {
			list = append(list, r.at(now))
		}
	}
	return list, nil
}

// Start makes and starts a replica.
func (e *Engine) Start(ctx context.Context, spec rhumb.ReplicaSpec) (rhumb.Replica, error) {
	if err := e.enter(ctx, "Start"); err != nil {
		return rhumb.Replica{}, err
	}
	defer e.mu.Unlock()
	before := e.made
	r, err := e.start(&spec)
	if err != nil {
		return rhumb.Replica{}, err
	}
	view := r.at(e.now())
	if e.made > before {
		view.Warnings = r.behaviour.Warnings
	}
	return view, nil
}

func (e *Engine) start(spec *rhumb.ReplicaSpec) (*replica, error) {
	now := e.now()
	if old := e.named(spec.Name()); old != nil {
		if old.base.Stack != spec.Stack || old.base.Service != spec.Service || old.base.Spec != spec.Spec {
			return nil, rhumb.Errorf(rhumb.Conflict, "start %s: a replica of that name and another spec is there", spec.Name())
		}
		if old.base.State == rhumb.StateCreated {
			old.begin(now)
			e.tell(old)
		}
		return old, nil
	}
	b := e.behaviour(spec)
	if b.StartError != nil {
		return nil, b.StartError
	}
	if err := checkHosts(spec.Hosts); err != nil {
		return nil, err
	}
	if err := e.check(spec, now); err != nil {
		return nil, err
	}
	r := e.make(spec, b, now)
	r.begin(now)
	e.replicas = slices.Insert(e.replicas, e.place(r), r)
	e.tell(r)
	return r, nil
}

// check looks whether all is there that a replica needs, as a real engine would.
func (e *Engine) check(spec *rhumb.ReplicaSpec, now time.Time) error {
	c := &spec.Container
	for _, image := range []string{c.ImageID, c.Image} {
		if e.missing[image] != nil || e.removed[image] {
			return rhumb.Errorf(rhumb.Invalid, "make %s: the engine has no image %s", spec.Name(), image)
		}
	}
	for _, a := range c.Networks {
		if _, ok := e.networks[a.Network]; !ok {
			return rhumb.Errorf(rhumb.Invalid, "start %s: network %s not found", spec.Name(), a.Network)
		}
	}
	for _, m := range c.Mounts {
		is := func(f rhumb.File) bool { return f.Kind == m.Kind && f.Name == m.Source }
		if m.Type == rhumb.MountFile && !slices.ContainsFunc(spec.Files, is) {
			return rhumb.Errorf(rhumb.Invalid, "service %s: the %s %s has no content", spec.Service, m.Kind, m.Source)
		}
		if _, there := e.volumes[m.Source]; m.Type == rhumb.MountVolume && m.Source != "" && !there {
			return rhumb.Errorf(rhumb.Invalid, "make %s: volume %s is not there", spec.Name(), m.Source)
		}
	}
	for _, p := range c.HostPorts {
		if other := e.onPort(p, now); other != nil && p.Published != 0 {
			return rhumb.Errorf(rhumb.Conflict, "start %s: port %d is already allocated", spec.Name(), p.Published)
		}
	}
	return nil
}

// onPort returns the running replica that has a port of the host, or nil.
func (e *Engine) onPort(p rhumb.Port, now time.Time) *replica {
	for _, r := range e.replicas {
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

// make makes a replica with its volumes.
func (e *Engine) make(spec *rhumb.ReplicaSpec, b Behaviour, now time.Time) *replica {
	e.made++
	r := &replica{spec: *spec, behaviour: b, name: spec.Name(), hosts: maps.Clone(spec.Hosts)}
	r.base = rhumb.Replica{
		ID: fmt.Sprintf("%064x", e.made), Stack: spec.Stack, Service: spec.Service, Release: spec.Release, Slot: spec.Slot,
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
			r.base.Addrs[a.Network] = address(e.made, e.networks[a.Network].number)
		}
		for _, a := range spec.Beside {
			if n, ok := e.networks[a.Network]; ok {
				r.base.Addrs[a.Network] = address(e.made, n.number)
			}
		}
	}
	r.volumes = e.volumesOf(spec)
	return r
}

// address returns an address in the lower half of a network. No other replica there ever gets the same one.
func address(n, network uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], (n+1)&0x7fffff|(10+network%200)<<24) // the first one is the gateway's
	return netip.AddrFrom4(b)
}

// Stop stops a replica at once: with 0, or with 137 if it behaves so as to ignore its stop signal.
func (e *Engine) Stop(ctx context.Context, id string) error {
	if err := e.enter(ctx, "Stop"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	now := e.now()
	r := e.byID(id)
	if r == nil {
		return nil
	}
	if view := r.at(now); !view.Alive() {
		return nil
	}
	code := r.behaviour.StopCode
	if r.behaviour.IgnoresStop {
		code = 137
	}
	r.end(now, code)
	e.tell(r)
	return nil
}

// Remove removes a dead replica.
func (e *Engine) Remove(ctx context.Context, id string) error {
	if err := e.enter(ctx, "Remove"); err != nil {
		return err
	}
	defer e.mu.Unlock()
	r := e.byID(id)
	if r == nil {
		return nil
	}
	if view := r.at(e.now()); view.Alive() {
		return rhumb.Errorf(rhumb.Conflict, "remove %s: it runs", r.name).WithHint("stop it first")
	}
	e.drop(r)
	return nil
}

// drop forgets a replica.
func (e *Engine) drop(r *replica) {
	e.replicas = slices.DeleteFunc(e.replicas, func(o *replica) bool { return o == r })
	e.tell(r)
}

func (e *Engine) byID(id string) *replica {
	for _, r := range e.replicas {
		if r.base.ID == id {
			return r
		}
	}
	return nil
}

func (e *Engine) named(name string) *replica {
	for _, r := range e.replicas {
		if r.name == name {
			return r
		}
	}
	return nil
}
