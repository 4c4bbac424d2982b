package vip

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// setting is one of the kernel's, for a namespace.
type setting struct {
	path, value string
	optional    bool // not every kernel has it
}

// settings are made before there is a link, which takes its own from the defaults.
var settings = []setting{
	{path: "net/ipv4/ip_forward", value: "1"},
	// Callers and replicas share a network: the kernel would tell callers to go to the replica directly.
	{path: "net/ipv4/conf/all/send_redirects", value: "0"},
	{path: "net/ipv4/conf/default/send_redirects", value: "0"},
	// When the first address of a link goes the others stay.
	{path: "net/ipv4/conf/all/promote_secondaries", value: "1"},
	{path: "net/ipv4/conf/default/promote_secondaries", value: "1"},
	// Who sends datagrams to a service without a replica is told each time.
	{path: "net/ipv4/icmp_ratelimit", value: "0"},
	// A packet beside the window is passed on as it is. Otherwise it would reach the namespace itself, which resets the connection.
	{path: "net/netfilter/nf_conntrack_tcp_be_liberal", value: "1"},
	// Ends that wait for late packets keep a source port busy; all callers of a replica share 64,000 of them.
	{path: "net/netfilter/nf_conntrack_tcp_timeout_time_wait", value: "10"},
	{path: "net/ipv6/conf/all/disable_ipv6", value: "1", optional: true},
	{path: "net/ipv6/conf/default/disable_ipv6", value: "1", optional: true},
}

// linkSettings are made once the link is there. A replica that is gone is found out within seconds instead of after half a minute.
var linkSettings = []setting{
	{path: "net/ipv4/conf/" + inside + "/send_redirects", value: "0"},
	{path: "net/ipv4/conf/" + inside + "/proxy_arp", value: "1"}, // see routes
	{path: "net/ipv4/neigh/" + inside + "/proxy_delay", value: "0"},
	{path: "net/ipv4/neigh/" + inside + "/retrans_time_ms", value: "200"},
	{path: "net/ipv4/neigh/" + inside + "/base_reachable_time_ms", value: "3000"},
	{path: "net/ipv4/neigh/" + inside + "/delay_first_probe_time", value: "1"},
}

// set has the kernel do as it is told in the namespace of the calling thread, and tells what wasn't so.
func set(all []setting) (changed []string, err error) {
	for _, s := range all {
		path := "/proc/sys/" + s.path
		b, err := os.ReadFile(path)
		if s.optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && strings.TrimSpace(string(b)) == s.value {
			continue
		}
		if err == nil {
			err = os.WriteFile(path, []byte(s.value), 0o644)
		}
		if err != nil {
			return changed, fmt.Errorf("set %s: %w", s.path, err)
		}
		changed = append(changed, s.path)
	}
	return changed, nil
}
