package vip

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// setting is a kernel setting for a namespace.
type setting struct {
	path, value string
	optional    bool // not every kernel has it
}

// settings are made before there is a link, which takes its own settings from the defaults.
var settings = []setting{
	{path: "net/ipv4/ip_forward", value: "1"},
	// Callers and replicas share a network: the kernel would otherwise redirect callers to the replica.
	{path: "net/ipv4/conf/all/send_redirects", value: "0"},
	{path: "net/ipv4/conf/default/send_redirects", value: "0"},
	// When the first address of a link is removed, the others stay.
	{path: "net/ipv4/conf/all/promote_secondaries", value: "1"},
	{path: "net/ipv4/conf/default/promote_secondaries", value: "1"},
	// A sender of datagrams to a service without a replica gets an error each time.
	{path: "net/ipv4/icmp_ratelimit", value: "0"},
	// A packet outside the window is passed on as it is. Otherwise it would reach the namespace itself, which resets
	// the connection.
	{path: "net/netfilter/nf_conntrack_tcp_be_liberal", value: "1"},
	// Closed connections that wait for late packets keep a source port busy. All callers of a replica share 64,000 of
	// them.
	{path: "net/netfilter/nf_conntrack_tcp_timeout_time_wait", value: "10"},
	{path: "net/ipv6/conf/all/disable_ipv6", value: "1", optional: true},
	{path: "net/ipv6/conf/default/disable_ipv6", value: "1", optional: true},
}

// linkSettings returns the settings that are made once a link exists. With them, a replica that is gone is noticed
// within seconds instead of half a minute.
func linkSettings(link string) []setting {
	return []setting{
		{path: "net/ipv4/conf/" + link + "/send_redirects", value: "0"},
		{path: "net/ipv4/conf/" + link + "/proxy_arp", value: "1"}, // see routes
		{path: "net/ipv4/neigh/" + link + "/proxy_delay", value: "0"},
		{path: "net/ipv4/neigh/" + link + "/retrans_time_ms", value: "200"},
		{path: "net/ipv4/neigh/" + link + "/base_reachable_time_ms", value: "3000"},
		{path: "net/ipv4/neigh/" + link + "/delay_first_probe_time", value: "1"},
	}
}

// set makes the settings in the namespace of the calling thread, and returns those that it changed.
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
