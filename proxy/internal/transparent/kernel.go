package transparent

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rhumb"
)

// kernel is what an instance has in the kernel: a table of nftables with one rule, and for each family two routing
// rules and a table of one route.
type kernel struct {
	table string
	mark  uint32 // of packets that belong to our sockets; also the number of the routing table
}

// bits are the bits of a mark that are ours. The others stay as they are. Kubernetes, Cilium, Calico and Tailscale use
// others than these.
const bits = 0x30ff

// firstRank is the priority of the first routing rule. The second one follows it. They come before all usual rules but
// that for local addresses.
const firstRank = 1070

const chainName = "prerouting"

// metaKindIn is NFT_META_IIFKIND: the kind of link that a packet came in by, since Linux 5.6.
const metaKindIn expr.MetaKey = 26

func kernelOf(instance string) kernel {
	sum := short("mark", instance)
	return kernel{table: "rhumb-" + instance, mark: 0x1000 | uint32(sum[0]) | uint32(sum[1]&0x20)<<8}
}

// make makes what is missing. It returns what that was, and why IPv4 and IPv6 can't be had; "" if they can.
func (k kernel) make() (made []string, broken4, broken6 string) {
	if err := canBind(); err != nil {
		why := refusal("sockets can't be bound to clients' addresses", err)
		return nil, why, why
	}
	if !k.hasTable() {
		if err := k.install(); err != nil {
			why := refusal("the kernel has no nftables that matches sockets (nft_socket, nf_socket_ipv4, nf_socket_ipv6, "+
				"Linux 5.6)", err)
			return nil, why, why
		}
		made = append(made, "table "+k.table)
	}
	made4, err4 := k.route(unix.AF_INET)
	made6, err6 := k.route(unix.AF_INET6)
	made = append(append(made, made4...), made6...)
	return made, refusal("routes can't be made", err4), refusal("routes of IPv6 can't be made", err6)
}

// refusal returns the reason before the kernel's own error; "" if there is none.
func refusal(words string, err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, syscall.EPERM):
		return fmt.Sprintf("%s: %v (the proxy, pid %d, needs the capability CAP_NET_ADMIN)", words, err, os.Getpid())
	}
	return fmt.Sprintf("%s: %v", words, err)
}

// hasTable reports whether our table of nftables is as install makes it.
func (k kernel) hasTable() bool {
	conn, err := nftables.New()
	if err != nil {
		return false
	}
	rules, err := conn.GetRules(k.nftable(), &nftables.Chain{Name: chainName})
	return err == nil && len(rules) == 1 && bytes.Equal(rules[0].UserData, comment())
}

func (k kernel) nftable() *nftables.Table {
	return &nftables.Table{Name: k.table, Family: nftables.TableFamilyINet}
}

// comment is how the rule is known again. It changes with the rule.
func comment() []byte {
	return userdata.AppendString(nil, userdata.TypeComment, "rhumb: answers to clients' addresses, 1")
}

// install replaces the table in one moment.
func (k kernel) install() error {
	conn, err := nftables.New()
	if err != nil {
		return err
	}
	t := k.nftable()
	conn.AddTable(t) // so that there is one to delete
	conn.DelTable(t)
	conn.AddTable(t)
	policy := nftables.ChainPolicyAccept
	c := conn.AddChain(&nftables.Chain{Name: chainName, Table: t, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookPrerouting, Priority: nftables.ChainPriorityMangle, Policy: &policy})
	conn.AddRule(&nftables.Rule{Table: t, Chain: c, Exprs: k.rule(), UserData: comment()})
	return conn.Flush()
}

// rule marks what comes in from a bridge and belongs to a transparent socket. That includes ICMP errors about what such
// a socket has sent, or they would reach the client instead of us.
func (k kernel) rule() []expr.Any {
	kind := make([]byte, unix.IFNAMSIZ)
	copy(kind, "bridge")
	return []expr.Any{
		&expr.Meta{Key: metaKindIn, Register: 1},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: kind},
		&expr.Socket{Key: expr.SocketKeyTransparent, Register: 1},
		&expr.Cmp{Register: 1, Op: expr.CmpOpEq, Data: []byte{1}},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(^uint32(bits)),
			Xor: binaryutil.NativeEndian.PutUint32(k.mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true},
	}
}

// ranks returns the routing rules. Marked packets are routed by our table. The kernel's check of a packet's source
// address (rp_filter) looks as if the machine itself sent an answer, and with the mark if src_valid_mark is set. It
// must find the replica's network and not our table.
func (k kernel) ranks(family int) []*netlink.Rule {
	mask := uint32(bits)
	var rs []*netlink.Rule
	for i, table := range []int{unix.RT_TABLE_MAIN, int(k.mark)} {
		r := netlink.NewRule()
		r.Family, r.Priority, r.Table, r.Mark, r.Mask = family, firstRank+i, table, k.mark, &mask
		rs = append(rs, r)
	}
	rs[0].IifName = "lo"
	return rs
}

// route makes the routing rules and the route of a family, as far as they are missing. An attempt to make what exists
// costs less than a list of all routes.
func (k kernel) route(family int) (made []string, err error) {
	for _, r := range k.ranks(family) {
		err := netlink.RuleAdd(r)
		if err == nil {
			made = append(made, "routing rule")
		} else if !errors.Is(err, unix.EEXIST) {
			return made, fmt.Errorf("add a routing rule: %w", err)
		}
	}
	route, err := k.home(family)
	if err == nil {
		err = netlink.RouteAdd(route)
	}
	switch {
	case err == nil:
		made = append(made, "route")
	case !errors.Is(err, unix.EEXIST):
		return made, fmt.Errorf("add the route: %w", err)
	}
	return made, nil
}

// home returns the route that makes every address this machine's own.
func (k kernel) home(family int) (*netlink.Route, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	all := &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)}
	if family == unix.AF_INET6 {
		all = &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}
	}
	return &netlink.Route{LinkIndex: lo.Attrs().Index, Table: int(k.mark), Type: unix.RTN_LOCAL,
		Scope: netlink.SCOPE_HOST, Dst: all}, nil
}

// remove removes everything. What isn't there is no error.
func (k kernel) remove() error {
	var errs []error
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		for _, r := range k.ranks(family) {
			for { // others may have added it once more
				err := netlink.RuleDel(r)
				if err != nil {
					errs = append(errs, unlessGone(err))
					break
				}
			}
		}
		if route, err := k.home(family); err == nil {
			errs = append(errs, unlessGone(netlink.RouteDel(route)))
		}
	}
	conn, err := nftables.New()
	if err == nil {
		conn.AddTable(k.nftable()) // so that there is one to delete
		conn.DelTable(k.nftable())
		err = conn.Flush()
	}
	if err := errors.Join(append(errs, unlessGone(err))...); err != nil {
		return rhumb.Errorf(rhumb.Internal, "the routing of client addresses can't be removed: %w", err)
	}
	return nil
}

// unlessGone returns an error, but not that what is to be removed isn't there, or can't be on this machine.
func unlessGone(err error) error {
	for _, gone := range []error{unix.ENOENT, unix.ESRCH, unix.EAFNOSUPPORT, unix.EOPNOTSUPP, unix.EPROTONOSUPPORT,
		unix.ENODEV} {
		if errors.Is(err, gone) {
			return nil
		}
	}
	return err
}
