package doctor

import (
	"fmt"
	"strings"

	"rhumb"
)

// limitsCheck reports limits that only observe, because nearly all clients of a service seem to come from one address.
func limitsCheck(f Facts) []Finding {
	if _, yes := unseen(f, "limits"); yes {
		return nil // other checks say so
	}
	limited := 0
	var found []Finding
	for _, b := range f.Server.Routes.Table.Backends {
		st := f.Server.Routes.Backends[b.Name].Limits
		if st == nil {
			continue
		}
		limited++
		if st.Shared != "" {
			found = append(found, Finding{"limits", Problem, fmt.Sprintf("%s/%s: limits by client are off, because nearly all "+
				"clients seem to come from %s", b.Stack, b.Service, st.Shared), trustHint(b, st.Shared)})
		}
	}
	if len(found) == 0 && limited > 0 {
		found = []Finding{{"limits", OK, "kept for " + counted(limited, "service's port", "services' ports"), ""}}
	}
	return found
}

// trustHint returns what to do about a source of many clients.
func trustHint(b rhumb.Backend, source string) string {
	if !strings.ContainsAny(source, ".:") { // a content network's name
		return "add the addresses that " + source + " publishes to --trusted-proxies of the server, or limit " + b.Service +
			" by route or by a header"
	}
	return "if a proxy of yours has that address, add it to --trusted-proxies of the server; or limit " + b.Service +
		" by route or by a header"
}
