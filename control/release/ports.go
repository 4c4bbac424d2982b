package release

import (
	"context"
	"fmt"
	"strconv"

	"rhumb"
)

// hostPort is a port of the server on TCP or UDP, on all of the server's addresses: two stacks on one port of two
// addresses would be hard to distinguish.
type hostPort struct {
	number uint16
	udp    bool
}

func hostPortOf(p rhumb.Port) hostPort { return hostPort{p.Published, p.Protocol == rhumb.UDP} }

// claims are the host ports that models name. In a range the engine chooses one later, so each port of it is claimed.
type claims struct{ fixed, ranged map[hostPort]bool }

func newClaims() claims { return claims{map[hostPort]bool{}, map[hostPort]bool{}} }

// add adds the fixed ports of a model, and those that the engine publishes for it (mode: host).
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

// open reports whether the number of a port on the host has yet to be chosen.
func open(p rhumb.Port) bool { return p.Published == 0 || p.PublishedEnd != 0 }

// choice chooses the open ports of one model.
type choice struct {
	*draft
	own    claims  // of the model
	others *claims // of the other stacks' releases; nil: not read yet
}

// choosePorts chooses a host port for every port that names none. The choice is kept for later releases, as long as the
// port is free then. With look it is not kept.
func (d *draft) choosePorts(ctx context.Context) error {
	c := choice{draft: d, own: newClaims()}
	c.own.add(d.model)
	d.choosing.Lock() // until the choice is stored: two deployments at once must not choose the same port
	defer d.choosing.Unlock()
	if err := c.each(func(s *rhumb.Service, p *rhumb.Port) error { return c.keep(ctx, s, p) }); err != nil {
		return err
	}
	return c.each(func(s *rhumb.Service, p *rhumb.Port) error {
		key := portKey(d.model.Name, s, p)
		n, err := c.choose(ctx, key, *p)
		if err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
		c.take(p, n)
		if d.look {
			return nil
		}
		if err := d.Store.SetSetting(ctx, daemonScope, ownerKey(hostPortOf(*p)), key); err != nil {
			return err
		}
		return d.Store.SetSetting(ctx, daemonScope, key, strconv.Itoa(int(n)))
	})
}

// each calls do for each port that is still open.
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

// take settles the number of a port.
func (c *choice) take(p *rhumb.Port, n uint16) {
	p.Published, p.PublishedEnd = n, 0
	c.own.fixed[hostPortOf(*p)] = true
}

// keep settles a port on the number that it had before, unless another stack or process has that now.
func (c *choice) keep(ctx context.Context, s *rhumb.Service, p *rhumb.Port) error {
	n, err := c.keptPort(ctx, portKey(c.model.Name, s, p))
	if err != nil || n == 0 {
		return err
	}
	was := *p
	was.Published, was.PublishedEnd = n, 0
	if c.own.fixed[hostPortOf(was)] {
		return nil
	}
	if old := c.old().Service(s.Name); old != nil {
		for _, o := range old.Ports {
			if o == was { // the proxy listens there already
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
	switch err := c.Ports.Check(ctx, &alone); {
	case rhumb.ErrorCode(err) == rhumb.Conflict:
		return nil
	case err != nil:
		return err
	}
	c.take(p, n)
	return nil
}

// choose returns a free number. If it can, it avoids the numbers that may be needed again: those kept for another port,
// such as one of a stack that is down, and those in a range from which the engine chooses.
func (c *choice) choose(ctx context.Context, key string, p rhumb.Port) (uint16, error) {
	others, err := c.ofOthers(ctx)
	if err != nil {
		return 0, err
	}
	var failed error
	n, err := c.Ports.FreePort(ctx, p, func(n uint16) (taken, better bool) {
		h := hostPort{n, p.Protocol == rhumb.UDP}
		if c.own.fixed[h] || others.fixed[h] {
			return true, false
		}
		kept, err := c.keptByOther(ctx, h, key)
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

// ofOthers returns the ports of all kept releases of other stacks, since each of them may serve again after a rollback.
func (c *choice) ofOthers(ctx context.Context) (claims, error) {
	if c.others != nil {
		return *c.others, nil
	}
	all := newClaims()
	stacks, err := c.Store.Stacks(ctx)
	if err != nil {
		return all, err
	}
	for _, s := range stacks {
		if s.Name == c.model.Name {
			continue
		}
		if err := c.eachRelease(ctx, s.Name, func(r *rhumb.Release) { all.add(&r.Model) }); err != nil {
			return all, err
		}
	}
	c.others = &all
	return all, nil
}

// daemonScope is the scope of the settings of chosen ports. They stay when their stack is removed, because its users
// know the numbers and may come back.
const daemonScope = ""

// portKey is the setting that keeps the number chosen for an open port.
func portKey(stack string, s *rhumb.Service, p *rhumb.Port) string {
	return fmt.Sprintf("port/%s/%s/%s/%d/%s/%d-%d",
		stack, s.Name, p.HostIP, p.Target, p.Protocol, p.Published, p.PublishedEnd)
}

// ownerKey is the setting that keeps the portKey for which a number was chosen last.
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
		return 0, nil // nothing is kept, or nothing usable
	}
	return uint16(n), nil
}

// keptByOther reports whether a number is kept for another port than the one of this key.
func (k *Maker) keptByOther(ctx context.Context, h hostPort, key string) (bool, error) {
	owner, err := k.Store.Setting(ctx, daemonScope, ownerKey(h))
	if err != nil || owner == "" || owner == key {
		return false, err
	}
	n, err := k.keptPort(ctx, owner)
	return n == h.number, err
}
