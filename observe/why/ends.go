package why

import (
	"fmt"
	"slices"
	"time"

	"rhumb"
)

// end is what is known of the ends of a service's replicas.
type end struct {
	key
	at, last time.Time
	times    int
	oom      bool
	reason   string
	release  int
	logs     []string
	again    bool // it crashes again and again
	started  bool // its processes had started
}

// endFinder finds the ends of replicas.
type endFinder struct{ *findings }

// ends finds the replicas that ended of their own accord, by events; and by the series where there are none.
func (f endFinder) ends() {
	found := map[key]*end{}
	var order []*end
	of := func(k key, at time.Time) *end {
		if found[k] == nil {
			found[k] = &end{key: k, at: at}
			order = append(order, found[k])
		}
		found[k].last = at
		return found[k]
	}
	for _, ev := range f.events {
		if ev.at.Before(f.early()) {
			continue
		}
		k := key{stack: ev.Stack, service: ev.Service}
		switch {
		case ev.Kind == rhumb.EventBackoff:
			of(k, ev.at).again = true
		case ev.Kind == rhumb.EventFailed && ev.Failure != nil:
			of(k, ev.at).take(ev)
		}
	}
	for _, s := range []signal{oomKills, restarts} {
		for _, k := range f.keys(s) {
			if at, n := f.counted(s, k); n > 0 && found[k] == nil {
				e := of(k, at)
				e.times, e.oom, e.started = n, s == oomKills, true
			} else if n > 0 && s == oomKills {
				found[k].oom = true
			}
		}
	}
	for _, e := range order {
		f.ended(e)
	}
}

// take adds a failure of a replica.
func (e *end) take(ev event) {
	e.times++
	e.oom = e.oom || ev.Failure.OOM
	e.started = e.started || ev.Failure.Ended || ev.Failure.OOM
	e.release = ev.Release
	if e.reason == "" {
		e.reason = ev.Failure.Reason
	}
	if len(ev.Failure.Logs) > 0 && len(e.logs) == 0 {
		e.logs = ev.Failure.Logs[max(0, len(ev.Failure.Logs)-3):]
	}
}

// counted returns when a counter that doesn't usually grow began to, and by how much.
func (f *records) counted(s signal, k key) (time.Time, int) {
	var at time.Time
	var sum float64
	for _, p := range f.of(s, k) {
		if p.Value < 0.5 {
			continue
		}
		if p.Time.Before(f.q.Since) {
			return at, 0
		}
		if at.IsZero() {
			at = p.Time
		}
		sum += p.Value * f.step.Seconds() / f.over.Seconds()
	}
	if at.IsZero() {
		return at, 0
	}
	return at, max(1, int(sum+0.5))
}

// ended adds the end of replicas of one service.
func (f endFinder) ended(e *end) {
	h := &happening{until: e.last, effect: true, force: 1}
	h.At, h.began, h.Stack, h.Service, h.Release = e.at, e.at, e.stack, e.service, e.release
	name := title(e.stack, e.service)
	t := &trouble{stack: e.stack, service: e.service, at: e.at, size: min(1, 0.7+0.1*float64(e.times))}
	switch {
	case e.oom:
		h.Kind, h.as = rhumb.HappenedOOM, killed
		t.phrase = "the kernel killed it for its memory" + times(e.times)
		h.Text = fmt.Sprintf("the kernel killed a replica of %s for its memory%s", name, times(e.times))
	case !e.started:
		h.Kind, h.as, h.force = rhumb.HappenedUnhealthy, sick, 0.9
		t.phrase = "a replica failed: " + clip(e.reason)
		h.Text = fmt.Sprintf("a replica of %s failed%s: %s", name, times(e.times), clip(e.reason))
	default:
		h.Kind, h.as = rhumb.HappenedCrash, crashed
		t.phrase = "a replica ended of its own accord" + times(e.times)
		h.Text = fmt.Sprintf("a replica of %s ended of its own accord%s", name, times(e.times))
		if e.reason != "" {
			h.Text += ": " + clip(e.reason)
		}
	}
	t.symptom = h.as
	t.evidence = rhumb.Evidence{At: e.at, Text: h.Text}
	for _, l := range e.logs {
		if failing.MatchString(l) {
			h.evidence = append(h.evidence, rhumb.Evidence{At: e.at, Text: fmt.Sprintf("its last lines: %q", clip(l))})
			break
		}
	}
	f.worse(t)
	f.happen(h)
}

// times returns how often something happened, if not once.
func times(n int) string {
	if n < 2 {
		return ""
	}
	return " " + rhumb.Times(n)
}

// kinds returns whether a happening of one of some kinds is about a service.
func (f *findings) has(k key, kinds ...rhumb.HappeningKind) bool {
	return slices.ContainsFunc(f.happenings, func(h *happening) bool {
		return h.Stack == k.stack && h.Service == k.service && slices.Contains(kinds, h.Kind)
	})
}
