package table

import (
	"strings"

	"rhumb"
)

// validateLimits returns an error if a backend's limits can't be kept.
func validateLimits(b rhumb.Backend) error {
	if len(b.Limits) > rhumb.MaxLimits {
		return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s has %d limits, and may have %d", b.Name, len(b.Limits),
			rhumb.MaxLimits)
	}
	for i := range b.Limits {
		if why := limitFault(&b.Limits[i]); why != "" {
			return rhumb.Errorf(rhumb.Invalid, "routing table: backend %s: limit %d: %s", b.Name, i+1, why)
		}
	}
	return nil
}

// limitFault returns what is wrong with a limit; "": nothing.
func limitFault(l *rhumb.Limit) string {
	rate := l.Rate != (rhumb.Rate{})
	switch {
	case rate && (l.Rate.Count < 1 || l.Rate.Count > rhumb.MaxCount || l.Rate.Per < 1 || l.Rate.Per > rhumb.MaxPer):
		return "the rate is out of range"
	case l.Burst < 0 || l.Burst > rhumb.MaxBurst || l.Burst > 0 && !rate:
		return "the burst is out of range, or has no rate"
	case l.Connections < 0 || l.Connections > rhumb.MaxCount:
		return "the connections are out of range"
	case l.Body < 0 || l.Status != 0 && (l.Status < 400 || l.Status > 599):
		return "the body or the status is out of range"
	case l.By != "" && l.By != rhumb.ByClient && l.By != rhumb.ByRoute && l.Header() == "":
		return "it counts by nothing known"
	}
	for _, p := range l.Paths {
		if !strings.HasPrefix(p, "/") {
			return "a path doesn't begin with a slash"
		}
	}
	return ""
}
