package vip

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"path/filepath"
)

// Names and addresses of links are derived, so that what was made once is found again by whoever looks: a process after us, or a
// namespace re-made, whose neighbours still have its MAC in their caches.

// inside is the link's name in each namespace.
const inside = "eth0"

// InstanceOf names the proxy that keeps its table in the folder. Two proxies on one machine have two folders, and leave each other's
// namespaces alone.
func InstanceOf(state string) string {
	if abs, err := filepath.Abs(state); err == nil {
		state = abs
	}
	if real, err := filepath.EvalSymlinks(state); err == nil {
		state = real
	}
	return short("instance", state)[:8]
}

// prefix is how the names of all namespaces of the instance begin.
func prefix(instance string) string { return "rhumb-" + instance + "-" }

// namespaceName gives the name under /run/netns.
func namespaceName(instance, network string) string {
	return prefix(instance) + short("network", network)[:12]
}

// linkPrefix is how the names of our ports on bridges begin.
const linkPrefix = "rv"

// linkName names the port on the network's bridge. A link's name has at most 15 characters.
func linkName(instance, network string) string {
	return linkPrefix + short("link", instance+"/"+network)[:12]
}

// macOf is the network's MAC: of all its service addresses, for ever.
func macOf(network string) net.HardwareAddr { return mac(0x0a, network) }

// portMAC is the MAC of the port on the bridge. A bridge without a MAC of its own takes the lowest of its ports', and would change it
// with ours: so ours is high.
func portMAC(network string) net.HardwareAddr { return mac(0xfe, network) }

// mac makes a locally administered address that isn't of the kind that Docker gives (02:42:...).
func mac(first byte, network string) net.HardwareAddr {
	sum := sha256.Sum256([]byte("mac\x00" + network))
	return append(net.HardwareAddr{first}, sum[:5]...)
}

func short(kind, of string) string {
	sum := sha256.Sum256([]byte(kind + "\x00" + of))
	return hex.EncodeToString(sum[:])
}
