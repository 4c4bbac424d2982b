package vip

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"path/filepath"
)

// Names and addresses of links are derived, so that what was made once is found again: by a later process, or by a new
// namespace, whose neighbours still have its MAC in their caches.

// inside is the link's name in each namespace.
const inside = "eth0"

// legPrefix is the prefix of the names of the links that lead from a namespace into other networks.
const legPrefix = "leg"

// legName returns the name, in each namespace, of the link into another network.
func legName(network string) string { return legPrefix + short("leg", network)[:12] }

// InstanceOf names the proxy that keeps its table in the folder. Two proxies on one machine have two folders, and don't
// touch each other's namespaces.
func InstanceOf(state string) string {
	if abs, err := filepath.Abs(state); err == nil {
		state = abs
	}
	if real, err := filepath.EvalSymlinks(state); err == nil {
		state = real
	}
	return short("instance", state)[:8]
}

// prefix returns the prefix of the names of the instance's namespaces.
func prefix(instance string) string { return "rhumb-" + instance + "-" }

// namespaceName returns the name under /run/netns.
func namespaceName(instance, network string) string {
	return prefix(instance) + short("network", network)[:12]
}

// linkPrefix is the prefix of the names of our ports on bridges.
const linkPrefix = "rv"

// linkName returns the name of the port on the network's bridge. A link's name has at most 15 characters.
func linkName(instance, network string) string {
	return linkPrefix + short("link", instance+"/"+network)[:12]
}

// macOf returns the network's MAC. All its service addresses have it, always.
func macOf(network string) net.HardwareAddr { return mac(0x0a, network) }

// portMAC returns the MAC of the port on the bridge. A bridge without a MAC of its own takes the lowest of its ports'
// MACs, and would change it for ours. So ours is high.
func portMAC(network string) net.HardwareAddr { return mac(0xfe, network) }

// mac returns a locally administered address, of another kind than Docker's (02:42:...).
func mac(first byte, network string) net.HardwareAddr {
	sum := sha256.Sum256([]byte("mac\x00" + network))
	return append(net.HardwareAddr{first}, sum[:5]...)
}

func short(kind, of string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + of))
	return hex.EncodeToString(sum[:])
}
