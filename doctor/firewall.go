package doctor

import "slices"

// Base is a chain in which packets to this machine's own sockets begin: iptables' INPUT, or a chain of nftables with
// the hook input. A packet is dropped if any base drops it.
type Base struct {
	From   string // its source: "iptables", "ip6tables", "nft inet firewalld"
	V4, V6 bool   // whose packets it sees
	Drops  bool   // the policy
	Chain  string
	Chains map[string][]Rule
}

// Rule is a firewall rule, reduced to what matters for a new connection from another machine.
type Rule struct {
	Protocols []string // nil: all
	Ports     []Range  // destination; nil: all
	Never     bool     // it can't match one: only known connections, only the loopback
	Partly    bool     // it has conditions that are not understood, or that only some callers meet
	Verdict   Verdict
	Chain     string // of jumps
}

// Verdict is what a rule does with a packet.
type Verdict int

const (
	Continue Verdict = iota // nothing that matters here, such as counting or logging
	Accept
	Drop
	Return
	Jump
	Goto
)

// Range is a range of ports, inclusive.
type Range struct{ From, To uint16 }

// passage is a base's decision about new connections to one port.
type passage struct {
	verdict Verdict // Accept or Drop, for connections that meet no Partly condition
	some    bool    // verdict is Drop, but a Partly rule accepts some of the connections
}

// maxDepth is how deep chains may jump; the kernel allows 16.
const maxDepth = 16

// pass returns what the base does with new connections from other machines.
func (b Base) pass(protocol string, port uint16) passage {
	w := walk{base: b, protocol: protocol, port: port}
	ends, verdict := w.chain(b.Chain, 0)
	policy := Accept
	if b.Drops {
		policy = Drop
	}
	if verdict == Continue {
		verdict = policy
	}
	accepts := ends.accepted || ends.through && policy == Accept
	return passage{verdict, verdict == Drop && accepts}
}

// ways are the possible ends of connections in a chain, over all connections.
type ways struct{ accepted, through bool }

type walk struct {
	base     Base
	protocol string
	port     uint16
	steps    int
}

// maxSteps limits the walk through chains that call each other in many ways.
const maxSteps = 20_000

// chain follows connections through a chain. It returns their possible ends, and the end of those that meet no Partly
// condition: Accept, Drop, or Continue if the chain doesn't decide.
func (w *walk) chain(name string, depth int) (ends ways, usual Verdict) {
	if depth > maxDepth {
		return ways{through: true}, Continue
	}
	decided := false
	for _, r := range w.base.Chains[name] {
		if w.steps++; w.steps > maxSteps {
			return ways{accepted: true, through: true}, usual
		}
		if !r.matches(w.protocol, w.port) {
			continue
		}
		stay, leave, v := w.rule(r, depth, &ends)
		ends.through = ends.through || leave
		if !decided && !r.Partly && (v != Continue || !stay) {
			decided, usual = true, v
		}
		if !stay && !r.Partly {
			return ends, usual
		}
	}
	ends.through = true
	return ends, usual
}

// rule follows connections through one rule. It returns whether some stay in its chain, whether some leave it
// undecided, and what usually happens to them.
func (w *walk) rule(r Rule, depth int, ends *ways) (stay, leave bool, usual Verdict) {
	switch r.Verdict {
	case Accept:
		ends.accepted = true
		return false, false, Accept
	case Drop:
		return false, false, Drop
	case Return:
		return false, true, Continue
	case Jump, Goto:
		in, v := w.chain(r.Chain, depth+1)
		ends.accepted = ends.accepted || in.accepted
		if r.Verdict == Goto {
			return false, in.through, v
		}
		return in.through, false, v
	}
	return true, false, Continue
}

// matches reports whether new connections from other machines may match the rule.
func (r Rule) matches(protocol string, port uint16) bool {
	switch {
	case r.Never:
		return false
	case r.Protocols != nil && !slices.Contains(r.Protocols, protocol):
		return false
	case r.Ports == nil:
		return true
	}
	return slices.ContainsFunc(r.Ports, func(p Range) bool { return p.From <= port && port <= p.To })
}
