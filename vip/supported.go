package vip

import (
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rhumb"
)

// scratch is the suffix of the namespace in which Supported tries.
const scratch = "scratch"

func isScratch(namespace string) bool { return strings.HasSuffix(namespace, "-"+scratch) }

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) }

// againAfter is how long a refusal is believed. What was possible once stays possible.
const againAfter = time.Minute

// Supported returns why this machine can't have service addresses, or nil if it can. It finds out by making some, in a
// namespace that nothing is connected to.
func (s *Segments) Supported() error {
	s.trying.Lock()
	defer s.trying.Unlock()
	if s.tried.IsZero() || s.supported != nil && time.Since(s.tried) > againAfter {
		s.supported, s.tried = try(prefix(s.options.Instance)+scratch), time.Now()
	}
	return s.supported
}

// try makes a namespace with one of everything in it, and removes it.
func try(name string) (err error) {
	if err := removeNamespace(name); err != nil { // left by an interrupted process
		return refusal("namespaces can't be removed", err)
	}
	ns, _, err := openNamespace(name)
	if err != nil {
		return refusal("network namespaces can't be made", err)
	}
	defer func() { err = errors.Join(err, ns.Close(), removeNamespace(name)) }()
	return within(ns, func() error {
		if _, err := set(settings); err != nil {
			return refusal("kernel settings can't be made", err)
		}
		v := netlink.NewVeth(netlink.NewLinkAttrs())
		v.Name, v.PeerName = "rv0", inside
		if err := netlink.LinkAdd(v); err != nil {
			return refusal("veth links can't be made", err)
		}
		for _, p := range pieces() {
			if err := install(p.rules, true); err != nil {
				return refusal(p.words, err)
			}
		}
		if _, err := netlink.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET); err != nil {
			return refusal("tracked connections can't be listed (nf_conntrack_netlink)", err)
		}
		return nil
	})
}

// piece is a set of rules that needs a feature of the kernel that the pieces before it didn't need.
type piece struct {
	words string
	rules rules
}

func pieces() []piece {
	a := netip.MustParseAddr("192.0.2.1")
	return []piece{
		{"the kernel has no nftables with NAT (nf_tables, nft_chain_nat, nft_ct)", rules{}},
		{"the kernel's nftables can't reject (nft_reject)", rules{refused: []netip.Addr{a}}},
		{"the kernel's nftables can't spread (nft_numgen)", rules{spread: []spread{{addr: a, to: []netip.Addr{a}}}}},
		{"the kernel's nftables has no clock (Linux 5.4)", rules{gaps: []gap{{addr: a, until: time.Unix(0, 0)}}}},
	}
}

// refusal puts the reason before the kernel's own error.
func refusal(words string, err error) error {
	e := rhumb.Errorf(rhumb.Unavailable, "%s: %w", words, err)
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.EACCES) {
		return e.WithHint("the proxy (pid %d) needs the capabilities CAP_NET_ADMIN and CAP_SYS_ADMIN", os.Getpid())
	}
	return e
}
