package release

import (
	"context"
	"fmt"
	"strconv"

	"rhumb"
)

// hostPort is a port of the server on TCP or UDP. Which of the server's addresses it is bound to doesn't count: two
// stacks on one port of two addresses would be hard to tell apart.
type hostPort struct {
	number uint16
	udp    bool
}

func hostPortOf(p rhumb.Port) hostPort { return hostPort{p.Published, p.Protocol == rhumb.UDP} }

// claims are the host ports that models name. Of those in a range the engine takes one; which is known too late.
type claims struct{ fixed, ranged map[hostPort]bool }

func newClaims() claims { return claims{map[hostPort]bool{}, map[hostPort]bool{}} }

// add adds a model's fixed ports, and those that the engine publishes for it (mode: host).
func (c claims) add(m *rhumb.Stack) {
	for _, s := range m.Services {
		for _, p := range s.Ports {
			if !open(p) {
				c.fixed[hostPortOf(p)] = true
			}
		}
		for _, p := range s.Container.HostPorts {
			if !open(p) {
				c.fixed[hostPortOf(p)] = true
				continue
			}
			for n := int(p.Published); n > 0 && n <= int(p.PublishedEnd); n++ {
				c.ranged[hostPort{uint16(n), p.Protocol == rhumb.UDP}] = true
			}
		}
	}
}

// open reports whether a port's number on the host is still to be chosen.
func open(p rhumb.Port) bool { return p.Published == 0 || p.PublishedEnd != 0 }

// choice chooses the open ports of one model.
type choice struct {
	k       *Maker
	model   *rhumb.Stack
	current *rhumb.Stack // the one that serves; nil: none does
	own     claims       // of the model
	others  *claims      // of the other stacks' releases; nil: not read yet
}

// choosePorts gives a host port to every port that names none. A port is chosen once and kept for later releases, as long
// as nobody else has it by then. old is the model that serves; nil: none does. With look nothing is kept.
func (k *Maker) choosePorts(ctx context.Context, model, old *rhumb.Stack, look bool) error {
	c := choice{k: k, model: model, current: old, own: newClaims()}
	c.own.add(model)
	k.choosing.Lock() // until what is chosen is written down: two deployments at once must not choose the same
	defer k.choosing.Unlock()
	if err := c.each(func(s *rhumb.Service, p *rhumb.Port) error { return c.keep(ctx, s, p) }); err != nil {
		return err
	}
	return c.each(func(s *rhumb.Service, p *rhumb.Port) error {
		key := portKey(model.Name, s, p)
		n, err := c.choose(ctx, key, *p)
		if err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
		c.take(p, n)
		if look {
			return nil
		}
		if err := k.Store.SetSetting(ctx, daemonScope, ownerKey(hostPortOf(*p)), key); err != nil {
			return err
		}
		return k.Store.SetSetting(ctx, daemonScope, key, strconv.Itoa(int(n)))
	})
}

// each calls do for all ports that are still open.
func (c *choice) each(do func(*rhumb.Service, *rhumb.Port) error) error {
	for i := range c.model.Services {
		s := &c.model.Services[i]
		for j := range s.Ports {
			if p := &s.Ports[j]; open(*p) {
				if err := do(s, p); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// take settles a port.
func (c *choice) take(p *rhumb.Port, n uint16) {
	p.Published, p.PublishedEnd = n, 0
	c.own.fixed[hostPortOf(*p)] = true
}

// keep gives a port the number that it had before, unless that is another's now.
func (c *choice) keep(ctx context.Context, s *rhumb.Service, p *rhumb.Port) error {
	n, err := c.k.keptPort(ctx, portKey(c.model.Name, s, p))
	if err != nil || n == 0 {
		return err
	}
	was := *p
	was.Published, was.PublishedEnd = n, 0
	if c.own.fixed[hostPortOf(was)] {
		return nil
	}
	if old := c.current.Service(s.Name); old != nil {
		for _, o := range old.Ports {
			if o == was { // it serves there
				c.take(p, n)
				return nil
			}
		}
	}
	others, err := c.ofOthers(ctx)
	if err != nil || others.fixed[hostPortOf(was)] {
		return err
	}
	alone := rhumb.Stack{Name: c.model.Name, Services: []rhumb.Service{{Name: s.Name, Ports: []rhumb.Port{was}}}}
	switch err := c.k.Ports.Check(ctx, &alone); {
	case rhumb.ErrorCode(err) == rhumb.Conflict:
		return nil
	case err != nil:
		return err
	}
	c.take(p, n)
	return nil
}

// choose finds a number that nobody has. Where there are others it avoids those that somebody may come back to: a stack
// that is down, or a port in a range from which the engine takes one.
func (c *choice) choose(ctx context.Context, key string, p rhumb.Port) (uint16, error) {
	others, err := c.ofOthers(ctx)
	if err != nil {
		return 0, err
	}
	var failed error
	n, err := c.k.Ports.FreePort(ctx, p, func(n uint16) (taken, better bool) {
		h := hostPort{n, p.Protocol == rhumb.UDP}
		if c.own.fixed[h] || others.fixed[h] {
			return true, false
		}
		kept, err := c.k.keptByOther(ctx, h, key)
		if err != nil {
			failed = err
		}
		return err != nil, !kept && !c.own.ranged[h] && !others.ranged[h]
	})
	if failed != nil {
		return 0, failed
	}
	return n, err
}

// ofOthers returns the ports of all kept releases of other stacks: also of those that may be rolled back to.
func (c *choice) ofOthers(ctx context.Context) (claims, error) {
	if c.others != nil {
		return *c.others, nil
	}
	all := newClaims()
	stacks, err := c.k.Store.Stacks(ctx)
	if err != nil {
		return all, err
	}
	for _, s := range stacks {
		if s.Name == c.model.Name {
			continue
		}
		if err := c.k.eachRelease(ctx, s.Name, func(r *rhumb.Release) { all.add(&r.Model) }); err != nil {
			return all, err
		}
	}
	c.others = &all
	return all, nil
}

// daemonScope keeps the chosen ports when their stack is removed: its users know the number, and come back to it.
const daemonScope = ""

// portKey is the setting that keeps the number of an open port.
func portKey(stack string, s *rhumb.Service, p *rhumb.Port) string {
	return fmt.Sprintf("port/%s/%s/%s/%d/%s/%d-%d", stack, s.Name, p.HostIP, p.Target, p.Protocol, p.Published, p.PublishedEnd)
}

// ownerKey is the setting that has the portKey for which a number was chosen last.
func ownerKey(h hostPort) string {
	if h.udp {
		return fmt.Sprintf("port owner/%d/udp", h.number)
	}
	return fmt.Sprintf("port owner/%d/tcp", h.number)
}

// keptPort returns the number that a setting keeps; 0: none.
func (k *Maker) keptPort(ctx context.Context, key string) (uint16, error) {
	kept, err := k.Store.Setting(ctx, daemonScope, key)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(kept, 10, 16)
	if err != nil {
		return 0, nil // nothing, or nothing that could be used
	}
	return uint16(n), nil
}

// keptByOther reports whether a port was chosen for another key than this one, which still keeps it.
func (k *Maker) keptByOther(ctx context.Context, h hostPort, key string) (bool, error) {
	owner, err := k.Store.Setting(ctx, daemonScope, ownerKey(h))
	if err != nil || owner == "" || owner == key {
		return false, err
	}
	n, err := k.keptPort(ctx, owner)
	return n == h.number, err
}
