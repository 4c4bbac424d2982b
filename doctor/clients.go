package doctor

import (
	"maps"
	"slices"
	"strings"
)

// clientsCheck reports the services whose replicas see the proxy's address instead of their clients'.
func clientsCheck(f Facts) []Finding {
	if found, yes := unseen(f, "clients"); yes {
		return found
	}
	whys := f.Server.Routes.Unseen
	services := map[string][]string{} // by reason
	for _, b := range f.Server.Routes.Table.Backends {
		if why := whys[b.Name]; why != "" {
			services[why] = append(services[why], b.Stack+"/"+b.Service)
		}
	}
	var found []Finding
	for _, why := range slices.Sorted(maps.Keys(services)) {
		found = append(found, Finding{"clients", Warning,
			"replicas of " + strings.Join(slices.Compact(services[why]), ", ") +
				" see the proxy's address instead of their clients': " + why,
			"if they need it, publish the port with app_protocol: http (X-Forwarded-For), or set x-rhumb.proxy_protocol"})
	}
	if len(found) == 0 && len(whys) > 0 {
		return []Finding{{"clients", OK, "replicas see their clients' addresses on published ports", ""}}
	}
	return found
}
