package look

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"rhumb"
	"rhumb/cmd/rhumb/view"
)

// figures are the series of several expressions, by the names of these.
type figures map[string][]rhumb.Series

// figureLabel is the label by which the series of joined expressions differ.
const figureLabel = "figure"

// readFigures evaluates expressions at once, because a request to a server that is far away takes long.
func readFigures(ctx context.Context, m rhumb.Metrics, exprs map[string]string) (figures, error) {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(exprs)) {
		parts = append(parts, fmt.Sprintf(`label_replace(%s, %q, %q, "", "")`, exprs[name], figureLabel, name))
	}
	list, err := m.Query(ctx, rhumb.MetricQuery{Expr: strings.Join(parts, " or ")})
	if err != nil {
		return nil, err
	}
	f := figures{}
	for _, s := range list {
		if len(s.Points) > 0 {
			f[s.Labels[figureLabel]] = append(f[s.Labels[figureLabel]], s)
		}
	}
	return f, nil
}

// one returns the value of an expression that has a single series; nil: it has none.
func (f figures) one(name string) *float64 {
	if len(f[name]) == 0 {
		return nil
	}
	return last(f[name][0])
}

func last(s rhumb.Series) *float64 { return &s.Points[len(s.Points)-1].Value }

// ofStack returns the selector of a stack's series; "" for all stacks'.
func ofStack(stack string) string {
	if stack == "" {
		return ""
	}
	return "{stack=" + strconv.Quote(stack) + "}"
}

// replicaExprs returns what each replica uses. Replicas are measured every five seconds.
func replicaExprs(of string) map[string]string {
	return map[string]string{
		"cpu":      "rate(rhumb_replica_cpu_seconds_total" + of + "[30s])",
		"memory":   "rhumb_replica_memory_bytes" + of,
		"limit":    "rhumb_replica_memory_limit_bytes" + of,
		"received": "rate(rhumb_replica_network_received_bytes_total" + of + "[30s])",
		"sent":     "rate(rhumb_replica_network_sent_bytes_total" + of + "[30s])",
		"open":     "rhumb_replica_open" + of,
	}
}

// serviceExprs returns what each service answers.
func serviceExprs(of string) map[string]string {
	return map[string]string{
		"requests": "sum by (stack, service) (rate(rhumb_requests_total" + of + "[1m]))",
		"errors":   "sum by (stack, service) (rate(rhumb_request_errors_total" + of + "[1m]))",
		"p95": "histogram_quantile(0.95, sum by (stack, service, le) (rate(rhumb_request_duration_seconds_bucket" + of +
			"[1m])))",
	}
}

// usages reads what services, or with replicas each replica, of a stack use; with "" those of all stacks.
func usages(ctx context.Context, m rhumb.Metrics, stack string, replicas bool) ([]view.Usage, error) {
	exprs := replicaExprs(ofStack(stack))
	if !replicas {
		maps.Copy(exprs, serviceExprs(ofStack(stack)))
	}
	f, err := readFigures(ctx, m, exprs)
	if err != nil {
		return nil, err
	}
	list := byReplica(f)
	if !replicas {
		list = byService(list, f)
	}
	return list, nil
}

// byReplica returns what each replica uses, sorted by name.
func byReplica(f figures) []view.Usage {
	all := map[string]*view.Usage{}
	for name, series := range f {
		for _, s := range series {
			replica := s.Labels["replica"]
			if replica == "" {
				continue
			}
			u := all[replica]
			if u == nil {
				release, _ := strconv.Atoi(s.Labels["release"]) // 0: it isn't known
				u = &view.Usage{Stack: s.Labels["stack"], Service: s.Labels["service"], Replica: replica, Release: release}
				all[replica] = u
			}
			if at := figureOf(u, name); at != nil {
				*at = last(s)
			}
		}
	}
	list := make([]view.Usage, 0, len(all))
	for _, replica := range slices.Sorted(maps.Keys(all)) {
		list = append(list, *all[replica])
	}
	return list
}

// figureOf returns where a figure of a name belongs; nil: nowhere.
func figureOf(u *view.Usage, name string) **float64 {
	switch name {
	case "cpu":
		return &u.CPU
	case "memory":
		return &u.Memory
	case "limit":
		return &u.Limit
	case "received":
		return &u.Received
	case "sent":
		return &u.Sent
	case "open":
		return &u.Open
	case "requests":
		return &u.Requests
	case "errors":
		return &u.Errors
	case "p95":
		return &u.P95
	}
	return nil
}

// byService adds up what the replicas of each service use, and adds what it answers. A service of which a replica has
// no limit has none.
func byService(replicas []view.Usage, f figures) []view.Usage {
	all := map[[2]string]*view.Usage{}
	of := func(stack, service string) *view.Usage {
		key := [2]string{stack, service}
		if all[key] == nil {
			all[key] = &view.Usage{Stack: stack, Service: service}
		}
		return all[key]
	}
	unlimited := map[*view.Usage]bool{}
	for _, r := range replicas {
		u := of(r.Stack, r.Service)
		u.Replicas++
		for _, name := range []string{"cpu", "memory", "limit", "received", "sent", "open"} {
			addTo(figureOf(u, name), *figureOf(&r, name))
		}
		unlimited[u] = unlimited[u] || r.Limit == nil
	}
	for u := range unlimited {
		if unlimited[u] {
			u.Limit = nil
		}
	}
	for _, name := range []string{"requests", "errors", "p95"} {
		for _, s := range f[name] {
			*figureOf(of(s.Labels["stack"], s.Labels["service"]), name) = last(s)
		}
	}
	list := make([]view.Usage, 0, len(all))
	for _, u := range all {
		list = append(list, *u)
	}
	slices.SortFunc(list, func(a, b view.Usage) int {
		return strings.Compare(a.Stack+"/"+a.Service, b.Stack+"/"+b.Service)
	})
	return list
}

func addTo(sum **float64, v *float64) {
	switch {
	case v == nil:
	case *sum == nil:
		n := *v
		*sum = &n
	default:
		**sum += *v
	}
}
