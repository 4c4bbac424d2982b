package why

import (
	"fmt"
	"math"
	"slices"
	"time"

	"rhumb"
	"rhumb/observe/why/changepoint"
)

// What is worse, and not only different.
var (
	moreFailures = changepoint.Rule{Ratio: 2, Delta: 0.01}
	longer       = changepoint.Rule{Ratio: 1.5, Delta: 0.02}
	moreTraffic  = changepoint.Rule{Ratio: 1.8, Delta: 1}
	lessTraffic  = changepoint.Rule{Ratio: 5, Delta: 0.5, Down: true}
	moreCPU      = changepoint.Rule{Ratio: 1.6, Delta: 0.15}
	moreThrottle = changepoint.Rule{Ratio: 2, Delta: 0.1}
	moreDiskUse  = changepoint.Rule{Ratio: 3, Delta: 5e6}
	moreErrors   = changepoint.Rule{Ratio: 4, Delta: 0.1}
	anyReplica   = changepoint.Rule{Ratio: 1.2, Delta: 0.5}
)

// serviceFinder finds changes in the series of services.
type serviceFinder struct{ *findings }

// services finds what changed in the series of services.
func (f serviceFinder) services() {
	for _, k := range f.keys(requests) {
		f.failing(k)
		f.slower(k)
		f.traffic(k)
	}
	for _, s := range []signal{unserved, cut} {
		for _, k := range f.keys(s) {
			f.losing(s, k)
		}
	}
	for _, k := range f.keys(lacking) {
		for _, c := range f.changes(lacking, k, anyReplica) {
			f.worse(f.moved(down, lacking, k, c, 0.6, unready(int(math.Ceil(c.Is)))))
		}
	}
	for _, k := range f.keys(throttled) {
		f.starving(k)
	}
	for _, k := range f.keys(memoryFull) {
		f.growing(k)
	}
	for _, k := range f.keys(unhealthy) {
		f.ailing(k)
	}
	for _, k := range f.keys(errorLines) {
		for _, c := range f.changes(errorLines, k, moreErrors) {
			f.worse(f.moved(noisy, errorLines, k, c, 0.3, fmt.Sprintf("lines that report errors rose from %s to %s a second",
				number(c.Was), number(c.Is))))
		}
	}
}

// moved returns a trouble that is a change of a series.
func (f serviceFinder) moved(s symptom, sig signal, k key, c changepoint.Change, size float64, phrase string) *trouble {
	return &trouble{symptom: s, stack: k.stack, service: k.service, at: c.At, size: min(1, size), phrase: phrase,
		signal: sig, key: k, evidence: f.proof(sig, k, c, fmt.Sprintf("%s: %s", title(k.stack, k.service), phrase))}
}

// proof returns the evidence that a series has changed.
func (f *records) proof(sig signal, k key, c changepoint.Change, text string) rhumb.Evidence {
	return rhumb.Evidence{At: c.At, Text: text, Expr: f.chosen(sig, k), Was: c.Was, Is: c.Is}
}

// chosen returns the expression of a signal for the stack of a key.
func (f *records) chosen(sig signal, k key) string { return sig.expr(k.stack, f.over) }

// failing finds that more requests fail.
func (f serviceFinder) failing(k key) {
	bad := f.of(failures, k)
	share := ratio(bad, f.of(requests, k))
	found := changepoint.Find(share, f.q.Since, moreFailures)
	if len(found) == 0 {
		if c, ok := f.burst(share); ok {
			found = append(found, c)
		}
	}
	for _, c := range found {
		n, points := mean(bad, c.At, c.Until)
		if n*float64(points)*f.step.Seconds() < 5 {
			continue
		}
		phrase := fmt.Sprintf("errors rose from %s to %s", percent(c.Was), percent(c.Is))
		t := f.moved(failed, failures, k, c, 0.4+4*(c.Is-c.Was), phrase)
		t.evidence.Expr = fmt.Sprintf("%s / %s", f.chosen(failures, k), f.chosen(requests, k))
		f.worse(t)
	}
}

// burst finds a short time in which many requests fail.
func (f serviceFinder) burst(share []rhumb.Point) (changepoint.Change, bool) {
	var most float64
	var c changepoint.Change
	n := 0
	for _, p := range share {
		switch {
		case p.Time.Before(f.q.Since):
			most = max(most, p.Value)
		case p.Value >= 0.1 && p.Value > 4*most:
			if n++; n == 1 {
				c.At = p.Time
			}
			if p.Time.Sub(c.At) < 5*time.Minute {
				c.Until, c.Is = p.Time, max(c.Is, p.Value)
			}
		}
	}
	return c, n >= 3
}

// slower finds that requests take longer.
func (f serviceFinder) slower(k key) {
	for _, c := range f.changes(p95, k, longer) {
		n, points := mean(f.of(requests, k), c.At, c.Until)
		if n*float64(points)*f.step.Seconds() < 20 {
			continue
		}
		phrase := fmt.Sprintf("p95 rose from %s to %s", seconds(c.Was), seconds(c.Is))
		f.worse(f.moved(slow, p95, k, c, 0.3+0.25*math.Log2(c.Is/max(c.Was, 0.001)), phrase))
	}
}

// traffic finds that more or fewer requests come.
func (f serviceFinder) traffic(k key) {
	for _, c := range f.changes(requests, k, moreTraffic) {
		text := fmt.Sprintf("%s requests a second came to %s, %s before", number(c.Is), title(k.stack, k.service),
			number(c.Was))
		h := f.happen(&happening{until: c.Until, as: more, force: min(1, 0.4+0.2*c.Is/max(c.Was, 0.1))})
		h.Kind, h.At, h.Stack, h.Service, h.Text = rhumb.HappenedTraffic, c.At, k.stack, k.service, text
		h.began = c.At
		h.evidence = append(h.evidence, f.proof(requests, k, c, "requests a second: "+text))
	}
	for _, c := range f.changes(requests, k, lessTraffic) {
		phrase := fmt.Sprintf("requests fell from %s to %s a second", number(c.Was), number(c.Is))
		t := f.moved(fewer, requests, k, c, 0.7, phrase)
		f.worse(t)
		h := f.happen(&happening{until: c.Until, as: fewer, effect: true, force: 0.6})
		h.Kind, h.At, h.Stack, h.Service = rhumb.HappenedTraffic, c.At, k.stack, k.service
		h.Text, h.began = fmt.Sprintf("%s requests a second came to %s, %s before", number(c.Is),
			title(k.stack, k.service), number(c.Was)), c.At
	}
}

// losing finds that connections and requests find no replica, or lose theirs.
func (f serviceFinder) losing(s signal, k key) {
	var usual, sum float64
	var c changepoint.Change
	for _, p := range f.of(s, k) {
		switch {
		case p.Time.Before(f.q.Since):
			usual = max(usual, p.Value)
		case p.Value > 0.5 && p.Value > 3*usual:
			if c.At.IsZero() {
				c.At = p.Time
			}
			c.Until, c.Is = p.Time, max(c.Is, p.Value)
			sum += p.Value * f.step.Seconds() / f.over.Seconds()
		}
	}
	if sum < 3 {
		return
	}
	c.Was = usual
	what := "found no replica in time"
	if s == cut {
		what = "lost their replica"
	}
	phrase := fmt.Sprintf("about %.0f requests or connections %s", sum, what)
	f.worse(f.moved(lost, s, k, c, 0.5+sum/200, phrase))
}

func unready(n int) string {
	if n == 1 {
		return "a replica isn't ready"
	}
	return fmt.Sprintf("%d replicas aren't ready", n)
}

// starving finds that a replica has reached its limit of CPU.
func (f serviceFinder) starving(k key) {
	for _, c := range f.changes(throttled, k, moreThrottle) {
		text := fmt.Sprintf("%s reached its limit of CPU: it was kept from running for %s of the time",
			title(k.stack, k.service), percent(min(1, c.Is)))
		h := f.happen(&happening{until: c.Until, as: starved, effect: true, force: min(1, 0.6+c.Is)})
		h.Kind, h.At, h.Stack, h.Service, h.Text, h.began = rhumb.HappenedThrottled, c.At, k.stack, k.service, text, c.At
		h.evidence = append(h.evidence, f.proof(throttled, k, c, text))
	}
}

// growing finds that the memory of a replica grew towards its limit.
func (f serviceFinder) growing(k key) {
	points := f.of(memoryFull, k)
	g, ok := changepoint.Grow(points, f.q.Since, 0.2)
	if !ok || g.To < 0.85 {
		return
	}
	was, is := valueAt(f.of(memory, k), g.At), valueAt(f.of(memory, k), g.Peak)
	text := fmt.Sprintf("the memory of %s grew from %s to %s, %s of its limit", title(k.stack, k.service), bytes(was),
		bytes(is), percent(g.To))
	c := changepoint.Change{At: g.At, Until: g.Peak, Was: g.From, Is: g.To}
	f.worse(f.moved(swollen, memoryFull, k, c, 0.5, fmt.Sprintf("memory grew from %s to %s of the limit",
		percent(g.From), percent(g.To))))
	h := f.happen(&happening{lasting: true, as: swollen, effect: true, force: 1})
	h.Kind, h.At, h.Stack, h.Service, h.Text, h.began = rhumb.HappenedMemory, g.At, k.stack, k.service, text, g.At
	h.evidence = append(h.evidence, f.proof(memoryFull, k, c, text))
}

// valueAt returns the value of the point nearest to a time.
func valueAt(points []rhumb.Point, at time.Time) float64 {
	if len(points) == 0 {
		return 0
	}
	return slices.MinFunc(points, func(a, b rhumb.Point) int {
		return int(a.Time.Sub(at).Abs() - b.Time.Sub(at).Abs())
	}).Value
}

// ailing finds that the check of a replica fails.
func (f serviceFinder) ailing(k key) {
	for _, c := range f.changes(unhealthy, k, changepoint.Rule{Ratio: 1, Delta: 0.5}) {
		text := "the check of " + title(k.stack, k.service) + " fails"
		f.worse(f.moved(sick, unhealthy, k, c, 0.6, "its check fails"))
		h := f.happen(&happening{until: c.Until, as: sick, effect: true, force: 0.9})
		h.Kind, h.At, h.Stack, h.Service, h.Text, h.began = rhumb.HappenedUnhealthy, c.At, k.stack, k.service, text, c.At
		h.evidence = append(h.evidence, f.proof(unhealthy, k, c, text))
	}
}
