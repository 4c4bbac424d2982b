package ledger

import (
	"context"
	"maps"

	"rhumb"
)

// Tally returns what the proxy has counted of a stack so far.
func Tally(st rhumb.RouterStatus, stack string) rhumb.Tally {
	return rhumb.Tally{Proxy: st.Started, Unserved: unserved(st, stack)}
}

// unserved returns, by service, how many of a stack's connections and requests the proxy could not serve since it
// began.
func unserved(st rhumb.RouterStatus, stack string) map[string]uint64 {
	counts := map[string]uint64{}
	for _, b := range st.Table.Backends {
		if s := st.Backends[b.Name]; b.Stack == stack && s.Lost() > 0 {
			counts[b.Service] += s.Lost()
		}
	}
	return counts
}

// tally returns what the proxy has counted, for a deployment that begins. If the proxy can't be asked it returns the
// zero Tally: then nothing will be known of what the deployment cost.
func (l *Ledger) tally(ctx context.Context, stack string) rhumb.Tally {
	st, err := l.Router(ctx)
	if err != nil {
		return rhumb.Tally{}
	}
	return Tally(st, stack)
}

// Since returns, by service, what the proxy could not serve since a tally was taken; nil: nothing. A proxy that was
// started after the tally has counted from zero.
func Since(before rhumb.Tally, st rhumb.RouterStatus, stack string) map[string]uint64 {
	if before.Proxy.IsZero() {
		return nil
	}
	counts := unserved(st, stack)
	if st.Started.Equal(before.Proxy) {
		for service, n := range before.Unserved {
			counts[service] -= min(n, counts[service])
		}
	}
	maps.DeleteFunc(counts, func(_ string, n uint64) bool { return n == 0 })
	if len(counts) == 0 {
		return nil
	}
	return counts
}
