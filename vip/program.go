package vip

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// tableName is the one table in each of our namespaces.
const tableName = "rhumb"

// ctDNAT is the bit of a connection's status that says that its destination was changed (IPS_DST_NAT).
const ctDNAT = 1 << 5

// metaTime is NFT_META_TIME_NS: the wall clock, since Linux 5.4.
const metaTime expr.MetaKey = 30

// program is a batch of commands for the kernel, which does all of them at one moment or none.
type program struct {
	conn  *nftables.Conn
	table *nftables.Table
	sets  uint32
	err   error
}

// install replaces all rules of the calling thread's namespace. Every packet sees the old ones or the new ones. Unless
// fresh, the table and its chains stay: the kernel takes several times as long to unhook chains as to change what is in
// them.
func install(r rules, fresh bool) error {
	conn, err := nftables.New(nftables.WithSockOptions(roomy))
	if err != nil {
		return err
	}
	p := &program{conn: conn, table: &nftables.Table{Name: tableName, Family: nftables.TableFamilyIPv4}}
	conn.AddTable(p.table)
	if fresh { // there was one to delete
		conn.DelTable(p.table)
		conn.AddTable(p.table)
	}
	p.prerouting(r)
	p.forward(r)
	p.postrouting(r)
	if p.err != nil {
		return p.err
	}
	return conn.Flush()
}

// roomy makes the socket's buffers large enough for a batch and an answer to each command in it.
func roomy(c *netlink.Conn) error {
	if err := c.SetReadBuffer(4 << 20); err != nil {
		return err
	}
	return c.SetWriteBuffer(4 << 20)
}

// prerouting routes new connections to an endpoint. The nat chains see only the first packet of a connection; the
// others follow it.
func (p *program) prerouting(r rules) {
	c := p.chain("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest,
		nftables.ChainPolicyAccept)
	for _, s := range r.spread {
		p.rule(c, dst(s.addr), p.oneOf(s.to), []expr.Any{
			&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
		})
	}
}

// forward accepts what was routed. It refuses the rest, or drops it: what meets a gap; what met the old rules in
// prerouting and meets the new ones here; and what comes from a host that sends through the namespace to pass the
// host's firewall.
func (p *program) forward(r rules) {
	c := p.chain("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter,
		nftables.ChainPolicyDrop)
	p.rule(c, routed(), []expr.Any{&expr.Verdict{Kind: expr.VerdictAccept}})
	tcp, other := protocol(expr.CmpOpEq, unix.IPPROTO_TCP), protocol(expr.CmpOpNeq, unix.IPPROTO_TCP)
	drop := []expr.Any{&expr.Verdict{Kind: expr.VerdictDrop}}
	for _, g := range r.gaps {
		p.rule(c, dst(g.addr), before(g.until), tcp, beginning(), drop)
		p.rule(c, dst(g.addr), before(g.until), other, drop)
	}
	if len(r.refused) > 0 {
		p.rule(c, p.set(r.refused), tcp, []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}})
		// port unreachable
		p.rule(c, p.set(r.refused), other, []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: 3}})
	}
}

// postrouting has the replica answer to the namespace. The caller is on the replica's own network, and would otherwise
// get an answer from an address that it never called. The source becomes the service's address. Masquerading would take
// the link's first address; when that one's service is removed, the kernel ends all connections of the network. A
// replica in another network answers to the address that the segment has there.
func (p *program) postrouting(r rules) {
	c := p.chain("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
		nftables.ChainPolicyAccept)
	for _, l := range r.legs {
		p.rule(c, leaving(l.link), routed(), []expr.Any{
			&expr.Immediate{Register: 1, Data: l.addr.AsSlice()},
			&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
		})
	}
	p.rule(c, routed(), []expr.Any{
		&expr.Ct{Key: expr.CtKeyDST, Register: 1, Direction: 0}, // as the caller sent it
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: 1},
	})
}

func (p *program) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook,
	priority *nftables.ChainPriority, policy nftables.ChainPolicy) *nftables.Chain {
	c := p.conn.AddChain(&nftables.Chain{Name: name, Table: p.table, Type: kind, Hooknum: hook, Priority: priority,
		Policy: &policy})
	p.conn.FlushChain(c)
	return c
}

func (p *program) rule(c *nftables.Chain, parts ...[]expr.Any) {
	var all []expr.Any
	for _, part := range parts {
		all = append(all, part...)
	}
	p.conn.AddRule(&nftables.Rule{Table: p.table, Chain: c, Exprs: all})
}

// set matches packets to any of the addresses, in one rule.
func (p *program) set(as []netip.Addr) []expr.Any {
	var es []nftables.SetElement
	for _, a := range as {
		es = append(es, nftables.SetElement{Key: a.AsSlice()})
	}
	s := p.anonymous(nftables.Set{KeyType: nftables.TypeIPAddr}, es)
	return []expr.Any{loadDst(), &expr.Lookup{SourceRegister: 1, SetName: s.Name, SetID: s.ID}}
}

// oneOf loads one of the addresses, in turn.
func (p *program) oneOf(as []netip.Addr) []expr.Any {
	var es []nftables.SetElement
	for i, a := range as {
		es = append(es, nftables.SetElement{Key: binaryutil.NativeEndian.PutUint32(uint32(i)), Val: a.AsSlice()})
	}
	s := p.anonymous(nftables.Set{IsMap: true, KeyType: nftables.TypeInteger, DataType: nftables.TypeIPAddr}, es)
	return []expr.Any{
		&expr.Numgen{Register: 1, Modulus: uint32(len(as)), Type: unix.NFT_NG_INCREMENTAL},
		&expr.Lookup{SourceRegister: 1, DestRegister: 1, IsDestRegSet: true, SetName: s.Name, SetID: s.ID},
	}
}

// anonymous adds a set that lives as long as its rule. It is numbered here, because the library's own numbering can't
// be used concurrently.
func (p *program) anonymous(s nftables.Set, es []nftables.SetElement) *nftables.Set {
	p.sets++
	s.Table, s.Anonymous, s.Constant, s.ID, s.Name = p.table, true, true, p.sets, "__set%d"
	if s.IsMap {
		s.Name = "__map%d"
	}
	if err := p.conn.AddSet(&s, es); err != nil && p.err == nil {
		p.err = fmt.Errorf("set of %d: %w", len(es), err)
	}
	return &s
}

func loadDst() expr.Any {
	return &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
}

// dst matches packets to the address.
func dst(a netip.Addr) []expr.Any {
	return []expr.Any{loadDst(), &expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: a.AsSlice()}}
}

func protocol(op expr.CmpOp, number byte) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Register: 1, Op: op, Data: []byte{number}},
	}
}

// beginning matches TCP packets that begin a connection: of fin, syn, rst and ack they have syn alone.
func beginning() []expr.Any {
	const fin, syn, rst, ack = 0x01, 0x02, 0x04, 0x10
	return []expr.Any{
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{fin | syn | rst | ack}, Xor: []byte{0}},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{syn}},
	}
}

// before matches packets that arrive before t by the kernel's clock, so that the rule ends without us.
func before(t time.Time) []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: metaTime, Register: 1},
		&expr.Byteorder{SourceRegister: 1, DestRegister: 1, Op: expr.ByteorderHton, Len: 8, Size: 8},
		&expr.Cmp{Register: 1, Op: expr.CmpOpLt, Data: binary.BigEndian.AppendUint64(nil, nanos(t))},
	}
}

// nanos returns nanoseconds since 1970, or the nearest number that fits.
func nanos(t time.Time) uint64 {
	switch s := t.Unix(); {
	case s < 0:
		return 0
	case s >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return uint64(t.UnixNano())
}

// leaving matches packets that leave by the link.
func leaving(link string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, link)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: 1},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: name},
	}
}

// routed matches the packets of connections that were routed to an endpoint, both ways.
func routed() []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: expr.CtKeySTATUS, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(ctDNAT),
			Xor: binaryutil.NativeEndian.PutUint32(0)},
		&expr.Cmp{Register: 1, Op: expr.CmpOpNeq, Data: binaryutil.NativeEndian.PutUint32(0)},
	}
}
