package bans

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// spared knows who is never banned.
type spared struct {
	trusted []netip.Prefix
	own     atomic.Pointer[[]netip.Addr] // the machine's addresses

	mu    sync.Mutex
	users map[netip.Addr]time.Time // addresses from which rhumb is used, until when they are spared
}

const (
	userTime = 24 * time.Hour
	maxUsers = 1000
)

func newSpared(trusted []netip.Prefix) *spared {
	s := &spared{trusted: trusted, users: map[netip.Addr]time.Time{}}
	s.own.Store(&[]netip.Addr{})
	return s
}

// impossible are networks that no client has.
var impossible = prefixes("0.0.0.0/8", "224.0.0.0/4", "255.255.255.255/32", "::/128", "ff00::/8")

// private are networks that aren't reachable from outside. Their clients may be many behind one address, such as that
// of a bridge.
var private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16",
	"127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128")

func prefixes(list ...string) (ps []netip.Prefix) {
	for _, s := range list {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

// Words of why. isPrivate is the only one that a user can overrule.
const (
	isPrivate   = "it is in a private network"
	isTrusted   = "it is a trusted proxy, which stands for many clients"
	isOwn       = "it is an address of this machine"
	isUsers     = "rhumb was used from there within a day"
	isNoAddress = "no client has it"
)

// why returns why a client or range is never banned; "": it may be.
func (s *spared) why(p netip.Prefix, privateToo bool, now time.Time) string {
	overlaps := func(o netip.Prefix) bool { return o.Overlaps(p) }
	switch {
	case !p.IsValid() || slices.ContainsFunc(impossible, overlaps):
		return isNoAddress
	case slices.ContainsFunc(s.trusted, overlaps):
		return isTrusted
	case slices.ContainsFunc(*s.own.Load(), p.Contains):
		return isOwn
	case s.usedFrom(p, now):
		return isUsers
	case !privateToo && slices.ContainsFunc(private, overlaps):
		return isPrivate
	}
	return ""
}

// usedFrom reports whether rhumb was used from an address in p of late.
func (s *spared) usedFrom(p netip.Prefix, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for a, until := range s.users {
		if now.Before(until) && p.Contains(a) {
			return true
		}
	}
	return false
}

// use notes that rhumb is used from an address.
func (s *spared) use(a netip.Addr, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.users[a]; !known && len(s.users) >= maxUsers {
		var first netip.Addr
		for a, until := range s.users {
			if !first.IsValid() || until.Before(s.users[first]) {
				first = a
			}
		}
		delete(s.users, first)
	}
	s.users[a] = until
}

// now returns the addresses from which rhumb is used, and forgets those that were spared for long enough.
func (s *spared) now(at time.Time) map[netip.Addr]time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := map[netip.Addr]time.Time{}
	for a, until := range s.users {
		if at.Before(until) {
			users[a] = until
		} else {
			delete(s.users, a)
		}
	}
	return users
}

// look looks which addresses the machine has, and returns those that are new. If that can't be found out, those that
// were known are.
func (s *spared) look() (added []netip.Addr) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	before := *s.own.Load()
	for _, a := range list {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if addr, ok := netip.AddrFromSlice(n.IP); ok {
			addr = addr.Unmap()
			if own = append(own, addr); !slices.Contains(before, addr) {
				added = append(added, addr)
			}
		}
	}
	s.own.Store(&own)
	return added
}
