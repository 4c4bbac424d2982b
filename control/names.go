package control

import (
	"cmp"
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// directory is what replicas are told of: the addresses of a stack's services, and the names they go by.
type directory struct {
	segments []rhumb.Segment
	models   []*rhumb.Stack // the wanted one first
}

// directory gives the names that hold now.
func (g *goal) directory(t rhumb.Table) directory {
	d := directory{segments: slices.DeleteFunc(slices.Clone(t.Segments), func(s rhumb.Segment) bool { return s.Stack != g.wanted.Stack })}
	for _, m := range []*rhumb.Stack{g.wanted.Model, g.wanted.Previous} {
		if m != nil {
			d.models = append(d.models, m)
		}
	}
	return d
}

// services lists the services of the models, each as the first one has it.
func (d directory) services() []*rhumb.Service {
	var list []*rhumb.Service
	seen := map[string]bool{}
	for _, m := range d.models {
		for i := range m.Services {
			if s := &m.Services[i]; !seen[s.Name] {
				seen[s.Name] = true
				list = append(list, s)
			}
		}
	}
	return list
}

// names gives what a container's hosts file shall have beside the engine's own lines: each service of the stack
// that it shares a network with, by all its names there, with its address in the first such network. A name that two
// services share is left to the engine's name server.
func (d directory) names(k *rhumb.Container) map[string]string {
	networks := d.networks(k)
	owners := map[string]string{} // by name: the service, or "" if there are several
	names := map[string]string{}
	for _, s := range d.services() {
		found := false
		for _, n := range networks {
			a, ok := attachment(s, n)
			if !ok {
				continue
			}
			addr := d.address(n, s.Name)
			for _, name := range slices.Concat([]string{s.Name}, a.Aliases) {
				if owner, taken := owners[name]; taken && owner != s.Name {
					owners[name] = ""
					continue
				}
				owners[name] = s.Name
				if addr.IsValid() && !found && hostName(name) {
					names[name] = addr.String()
				}
			}
			found = found || addr.IsValid()
		}
	}
	maps.DeleteFunc(names, func(name, _ string) bool { return owners[name] == "" })
	return names
}

// networks lists the networks that a container reaches, in the order in which it looks for services: by priority, then
// by name. On the server's own network it reaches all of them.
func (d directory) networks(k *rhumb.Container) []string {
	var list []string
	switch k.NetworkMode {
	case "":
		as := slices.Clone(k.Networks)
		slices.SortStableFunc(as, func(a, b rhumb.Attachment) int {
			return cmp.Or(cmp.Compare(b.Priority, a.Priority), strings.Compare(a.Network, b.Network))
		})
		for _, a := range as {
			list = append(list, a.Network)
		}
	case "host":
		for _, s := range d.segments {
			list = append(list, s.Network)
		}
		slices.Sort(list)
	}
	return list
}

// address gives a service's address in a network; the zero Addr: it has none.
func (d directory) address(network, service string) netip.Addr {
	for _, s := range d.segments {
		for _, a := range s.Services {
			if s.Network == network && a.Service == service {
				return a.Addr
			}
		}
	}
	return netip.Addr{}
}

// names gives the names for a container that is about to start.
func (r *runner) names(ctx context.Context, g *goal, k *rhumb.Container) (map[string]string, error) {
	st, err := r.c.desk.Status(ctx)
	if err != nil {
		return nil, err
	}
	return g.directory(st.Table).names(k), nil
}

// hostName tells whether a name can stand in a hosts file.
func hostName(name string) bool {
	return name != "" && len(name) <= 253 && !strings.ContainsFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	})
}

// naming knows which names each replica was given. After a restart of the daemon all of them are given once again.
type naming struct {
	mu    sync.Mutex
	given map[string]map[string]string // by replica ID
	next  time.Time                    // not before, after a failure
	busy  bool
}

// note writes down what a replica was given at its start.
func (n *naming) note(id string, names map[string]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.given[id] = names
}

// stale lists the replicas whose names aren't the given ones, and forgets those that are gone. It gives nothing while
// somebody is at work on the last ones.
func (n *naming) stale(want map[string]map[string]string, now time.Time) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy || now.Before(n.next) {
		return nil
	}
	maps.DeleteFunc(n.given, func(id string, _ map[string]string) bool { _, here := want[id]; return !here })
	var ids []string
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if given, ok := n.given[id]; !ok || !maps.Equal(given, want[id]) {
			ids = append(ids, id)
		}
	}
	n.busy = len(ids) > 0
	return ids
}

// done ends the work that stale has given.
func (n *naming) done(failed bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.busy = false
	if failed {
		n.next = time.Now().Add(2 * time.Second)
	}
}

// tellNames gives the replicas that run the names that hold now, beside the turn.
func (r *runner) tellNames(ctx context.Context, work *sync.WaitGroup, g *goal, t rhumb.Table, now time.Time) {
	d := g.directory(t)
	want := map[string]map[string]string{}
	for _, rep := range g.replicas {
		if s, _ := g.definition(rep); s != nil && rep.Alive() && rep.Joined == "" {
			want[rep.ID] = d.names(&s.Container)
		}
	}
	stale := r.naming.stale(want, now)
	if len(stale) == 0 {
		return
	}
	work.Go(func() {
		failed := false
		for _, id := range stale {
			err := r.c.Engine.SetHosts(ctx, id, want[id])
			switch {
			case err == nil || rhumb.ErrorCode(err) == rhumb.NotFound:
				r.naming.note(id, want[id])
			case ctx.Err() == nil:
				failed = true
				r.log.Warn("names not told", "replica", id, "err", err)
			}
		}
		r.naming.done(failed)
		r.Nudge()
	})
}
