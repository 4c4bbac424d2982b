package rhumb

import (
	"slices"
	"strconv"
	"time"
)

// Limit bounds what clients may ask of a service. A service may have several: what exceeds one of them is refused.
type Limit struct {
	Route string   `json:",omitzero"` // only requests that came by this route (Route.Address); "": all
	Paths []string `json:",omitzero"` // only requests to these paths, or beneath them; a last * is any ending; none: all
	// Rate is how many requests (HTTP) or connections (TCP) may come; zero: any number. Burst is how many more of them may
	// come at once.
	Rate        Rate    `json:",omitzero"`
	Burst       int     `json:",omitzero"`
	By          LimitBy `json:",omitzero"` // "": ByClient
	Connections int     `json:",omitzero"` // of one key, at a time: requests (HTTP), or connections; 0: any number
	Body        int64   `json:",omitzero"` // the most bytes of a request's body; 0: any number
	Status      int     `json:",omitzero"` // of the answer to a refused request; 0: 429, or 413 for its body
	Observe     bool    `json:",omitzero"` // what exceeds the limit is counted and let pass
}

// LimitBy is what a Limit counts for: each client, the whole service or route, or each value of a header.
type LimitBy string

const (
	ByClient LimitBy = "client" // an IPv4 address, or an IPv6 network of 64 bits
	ByRoute  LimitBy = "route"
	ByHeader LimitBy = "header:" // and the header's name; a request without it counts for its client
)

// Rate is how many may come within a time. The zero value is no rate.
type Rate struct {
	Count int           `json:",omitzero"`
	Per   time.Duration `json:",omitzero"`
}

// The bounds of limits.
const (
	MaxLimits = 8       // of a service
	MaxCount  = 1000000 // of a Rate, and of Limit.Connections
	MaxBurst  = 100000
	MaxPer    = 24 * time.Hour
)

// LimitStats are what a backend's limits have done since the proxy started.
type LimitStats struct {
	Refused  uint64    `json:",omitzero"` // requests and connections
	Observed uint64    `json:",omitzero"` // those that were let pass only because the limit observes
	Since    time.Time `json:",omitzero"` // since when limits refuse, with less than a minute between; zero: they don't
	// Shared is the address or the network from which nearly all clients seem to come, such as that of a balancer that
	// isn't trusted. Limits by client only observe what comes from there. "": there is none.
	Shared string `json:",omitzero"`
}

// Header returns the name of the header that the limit counts by, or "".
func (l *Limit) Header() string {
	if len(l.By) > len(ByHeader) && l.By[:len(ByHeader)] == ByHeader {
		return string(l.By[len(ByHeader):])
	}
	return ""
}

// String returns the rate as it is written in a Compose file: "20/s".
func (r Rate) String() string {
	for _, u := range rateUnits {
		if r.Per == u.per {
			return strconv.Itoa(r.Count) + "/" + u.name
		}
	}
	return strconv.Itoa(r.Count) + "/" + r.Per.String()
}

var rateUnits = []struct {
	name string
	per  time.Duration
}{{"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", MaxPer}}

func (l Limit) equal(o Limit) bool {
	return l.Route == o.Route && slices.Equal(l.Paths, o.Paths) && l.Rate == o.Rate && l.Burst == o.Burst &&
		l.By == o.By && l.Connections == o.Connections && l.Body == o.Body && l.Status == o.Status &&
		l.Observe == o.Observe
}

// cloneLimits returns a copy that shares nothing with the list.
func cloneLimits(list []Limit) []Limit {
	list = cloneList(list)
	for i := range list {
		list[i].Paths = cloneList(list[i].Paths)
	}
	return list
}

// SameLimits reports whether two lists of limits are the same. Nil and empty lists are.
func SameLimits(a, b []Limit) bool { return slices.EqualFunc(a, b, Limit.equal) }
