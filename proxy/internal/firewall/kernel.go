package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"syscall"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// kernel is the table as it was made.
type kernel struct {
	name       string
	made       bool
	generation uint32    // of all rules of the machine, after the last change of ours
	counted    time.Time // when all elements were looked at
	tcp, udp   int       // ports
}

// The sets of the table.
const (
	setOf4, setOf6     = "clients4", "clients6"
	setOfTCP, setOfUDP = "tcp_ports", "udp_ports"
	chainName          = "prerouting"
)

const (
	batchSize  = 4000 // elements that are added at one moment
	perMessage = 1000 // an attribute of netlink has at most 64 kB
	rules      = 4
)

// batch is commands that the kernel does at one moment or not at all.
type batch struct {
	conn  *nftables.Conn
	table *nftables.Table
	sets  uint32
	err   error
}

func (k *kernel) batch() (*batch, error) {
	conn, err := nftables.New(nftables.WithSockOptions(roomy))
	if err != nil {
		return nil, err
	}
	return &batch{conn: conn, table: &nftables.Table{Name: k.name, Family: nftables.TableFamilyINet}}, nil
}

// roomy makes the socket's buffers large enough for a batch and an answer to each command in it.
func roomy(c *netlink.Conn) error {
	if err := c.SetReadBuffer(4 << 20); err != nil {
		return err
	}
	return c.SetWriteBuffer(4 << 20)
}

// flush has the kernel do the batch, and notes the generation of rules.
func (k *kernel) flush(b *batch) error {
	if b.err != nil {
		return b.err
	}
	if err := b.conn.Flush(); err != nil {
		return err
	}
	var err error
	k.generation, err = generation()
	return err
}

// remove removes the table, if there is one.
func (k *kernel) remove() error {
	k.made = false
	b, err := k.batch()
	if err != nil {
		return err
	}
	b.conn.AddTable(b.table)
	b.conn.DelTable(b.table)
	return k.flush(b)
}

// make makes the table in place of the one that there may be.
func (k *kernel) make(want wanted) error {
	b, err := k.batch()
	if err != nil {
		return err
	}
	b.conn.AddTable(b.table)
	b.conn.DelTable(b.table)
	b.conn.AddTable(b.table)
	b.set(nftables.Set{Name: setOf4, KeyType: nftables.TypeIPAddr, HasTimeout: true}, nil)
	b.set(nftables.Set{Name: setOf6, KeyType: nftables.TypeIP6Addr, HasTimeout: true}, nil)
	b.set(nftables.Set{Name: setOfTCP, KeyType: nftables.TypeInetService}, ports(want.tcp))
	b.set(nftables.Set{Name: setOfUDP, KeyType: nftables.TypeInetService}, ports(want.udp))
	b.rules()
	if err := k.flush(b); err != nil {
		return err
	}
	k.made, k.counted = true, time.Now()
	k.tcp, k.udp = len(want.tcp), len(want.udp)
	changes := make([]change, 0, len(want.clients))
	for client, until := range want.clients {
		changes = append(changes, change{client: client, until: until, fresh: true})
	}
	return k.change(changes)
}

// change adds and removes elements. After an error the table has to be made again.
func (k *kernel) change(changes []change) error {
	if !k.made {
		return errGone
	}
	for len(changes) > 0 {
		n := min(len(changes), batchSize)
		b, err := k.batch()
		if err != nil {
			return err
		}
		b.elements(last(changes[:n]))
		if err := k.flush(b); err != nil {
			return err
		}
		changes = changes[n:]
	}
	return nil
}

// last returns the last change of each client. It is fresh if the first was.
func last(changes []change) []change {
	at, list := make(map[netip.Prefix]int, len(changes)), make([]change, 0, len(changes))
	for _, c := range changes {
		i, ok := at[c.client]
		if !ok {
			at[c.client] = len(list)
			list = append(list, c)
			continue
		}
		c.fresh = list[i].fresh
		list[i] = c
	}
	return list
}

// elements changes the sets of clients.
func (b *batch) elements(changes []change) {
	now := time.Now().UnixNano()
	for _, of := range []struct {
		name string
		is4  bool
	}{{setOf4, true}, {setOf6, false}} {
		var gone, come []nftables.SetElement
		for _, c := range changes {
			if c.client.Addr().Is4() != of.is4 {
				continue
			}
			e := nftables.SetElement{Key: c.client.Addr().AsSlice()}
			if !c.fresh {
				gone = append(gone, e)
			}
			if left := time.Duration(c.until - now); !c.ends && left >= time.Millisecond {
				if c.until != math.MaxInt64 {
					e.Timeout = left
				}
				come = append(come, e)
			}
		}
		set := &nftables.Set{Table: b.table, Name: of.name, HasTimeout: true}
		b.each(gone, func(es []nftables.SetElement) error { return b.conn.SetDeleteElements(set, es) })
		b.each(come, func(es []nftables.SetElement) error { return b.conn.SetAddElements(set, es) })
	}
}

// each calls do with parts of the elements that fit into a message.
func (b *batch) each(es []nftables.SetElement, do func([]nftables.SetElement) error) {
	for len(es) > 0 && b.err == nil {
		n := min(len(es), perMessage)
		b.err = do(es[:n])
		es = es[n:]
	}
}

// set adds a set. It is numbered here, because the library's own numbering can't be used concurrently.
func (b *batch) set(s nftables.Set, es []nftables.SetElement) {
	b.sets++
	s.Table, s.ID = b.table, b.sets
	if err := b.conn.AddSet(&s, es); err != nil && b.err == nil {
		b.err = fmt.Errorf("set %s: %w", s.Name, err)
	}
}

func ports(list []uint16) (es []nftables.SetElement) {
	for _, p := range list {
		es = append(es, nftables.SetElement{Key: binary.BigEndian.AppendUint16(nil, p)})
	}
	return es
}

// rules drops what banned clients send to the ports. The chain comes before connections are tracked and destinations
// changed, so that the port is the one that the client has called, and Docker's rules don't matter.
func (b *batch) rules() {
	accept := nftables.ChainPolicyAccept
	c := b.conn.AddChain(&nftables.Chain{Name: chainName, Table: b.table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityRaw, Policy: &accept})
	for _, protocol := range []struct {
		number byte
		ports  string
	}{{unix.IPPROTO_TCP, setOfTCP}, {unix.IPPROTO_UDP, setOfUDP}} {
		for _, source := range [][]expr.Any{source4(), source6()} {
			var all []expr.Any
			all = append(all, source[0], source[1]) // the family
			all = append(all, &expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
				&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{protocol.number}},
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
				&expr.Lookup{SourceRegister: 1, SetName: protocol.ports})
			all = append(all, source[2:]...)
			all = append(all, &expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop})
			b.conn.AddRule(&nftables.Rule{Table: b.table, Chain: c, Exprs: all})
		}
	}
}

// source4 matches packets of IPv4 from banned clients.
func source4() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{unix.NFPROTO_IPV4}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4},
		&expr.Lookup{SourceRegister: 1, SetName: setOf4},
	}
}

// source6 matches packets of IPv6 from banned networks of 64 bits.
func source6() []expr.Any {
	mask := make([]byte, 16)
	for i := range bits6 / 8 {
		mask[i] = 0xff
	}
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{unix.NFPROTO_IPV6}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: 8, Len: 16},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 16, Mask: mask, Xor: make([]byte, 16)},
		&expr.Lookup{SourceRegister: 1, SetName: setOf6},
	}
}

// sound reports whether the table is as it was made. It looks only if rules of the machine have changed since, and at
// the elements at most every ten seconds.
func (k *kernel) sound(clients func() map[netip.Prefix]int64) (bool, error) {
	now, err := generation()
	if err != nil || now == k.generation {
		return true, err
	}
	b, err := k.batch()
	if err != nil {
		return false, err
	}
	chain, err := b.conn.ListChain(b.table, chainName)
	if err != nil {
		return false, nil // it is gone
	}
	found, err := b.conn.GetRules(b.table, chain)
	if err != nil || len(found) != rules {
		return false, nil
	}
	if time.Since(k.counted) < checkAll {
		return true, nil // it is looked at with one of the next ticks
	}
	k.counted = time.Now()
	if !k.has(b, clients()) {
		return false, nil
	}
	k.generation = now
	return true, nil
}

// has reports whether the sets have all ports and these clients.
func (k *kernel) has(b *batch, clients map[netip.Prefix]int64) bool {
	for name, n := range map[string]int{setOfTCP: k.tcp, setOfUDP: k.udp} {
		es, err := b.conn.GetSetElements(&nftables.Set{Table: b.table, Name: name})
		if err != nil || len(es) != n {
			return false
		}
	}
	for _, of := range []struct {
		name string
		bits int
	}{{setOf4, bits4}, {setOf6, bits6}} {
		es, err := b.conn.GetSetElements(&nftables.Set{Table: b.table, Name: of.name})
		if err != nil {
			return false
		}
		for _, e := range es {
			if a, ok := netip.AddrFromSlice(e.Key); ok {
				delete(clients, netip.PrefixFrom(a, of.bits))
			}
		}
	}
	soon := time.Now().Add(2 * time.Second).UnixNano()
	for _, until := range clients {
		if until > soon {
			return false
		}
	}
	return true
}

// generation returns the number that the kernel increments with each change of rules of the machine.
func generation() (uint32, error) {
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, nil)
	if err != nil {
		return 0, err
	}
	defer func() { _ = c.Close() }() // it was only read
	answers, err := c.Execute(netlink.Message{
		Header: netlink.Header{Flags: netlink.Request,
			Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN)},
		Data: []byte{unix.AF_UNSPEC, unix.NFNETLINK_V0, 0, 0},
	})
	if err != nil {
		return 0, err
	}
	for _, m := range answers {
		d, err := netlink.NewAttributeDecoder(m.Data[min(4, len(m.Data)):])
		if err != nil {
			return 0, err
		}
		d.ByteOrder = binary.BigEndian
		for d.Next() {
			if d.Type() == unix.NFTA_GEN_ID {
				return d.Uint32(), nil
			}
		}
	}
	return 0, errors.New("the kernel knows no generation of its rules")
}

// words returns why the kernel refuses, for people.
func words(err error) string {
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return "the proxy may not change the kernel's firewall: it needs the capability CAP_NET_ADMIN"
	}
	return "the kernel refuses a table of nftables: " + err.Error()
}
