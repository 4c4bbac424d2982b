package why

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"rhumb"
)

// partFinder finds what happened to rhumb's own parts.
type partFinder struct{ *findings }

// parts finds what happened to the engine, the proxy, and certificates.
func (f partFinder) parts() {
	for _, k := range f.keys(boot) {
		for _, at := range f.restarts(boot, k, time.Minute) {
			f.part(rhumb.HappenedEngine, lost, at, "the machine was started again")
		}
	}
	for _, k := range f.keys(processStarted) {
		if k.other != "proxy" {
			continue // without the daemon and observe, requests are served all the same
		}
		for _, at := range f.restarts(processStarted, k, 2*time.Second) {
			f.proxy(at)
		}
	}
	for _, k := range f.keys(engineUp) {
		up := true
		for _, p := range f.of(engineUp, k) {
			if up && p.Value < 0.5 && !p.Time.Before(f.early()) {
				f.part(rhumb.HappenedEngine, down, p.Time, "the engine didn't answer")
			}
			up = p.Value >= 0.5
		}
	}
	for i := range f.own {
		f.ownLine(&f.own[i])
	}
	for _, k := range f.keys(expires) {
		f.certificate(k)
	}
}

// proxy finds out what a new process of the proxy means. It takes over from the one before without a break; otherwise
// that one has ended, and what it had counted since it was last asked is lost with the requests that it had: no series
// shows them.
func (f partFinder) proxy(at time.Time) {
	logs := func(msg string) bool {
		return slices.ContainsFunc(f.own, func(l rhumb.LogLine) bool {
			since := l.Time.Sub(at)
			return l.Kind == rhumb.LineProxy && since > -2*time.Second && since < time.Minute && logged(&l) == msg
		})
	}
	switch {
	case logs("taking over"):
		f.part(rhumb.HappenedProxy, proxyAway, at, "the proxy handed over to a new process")
	case !logs("saved table served"): // its log isn't kept
		f.part(rhumb.HappenedProxy, proxyAway, at, "the proxy was started again")
	default:
		text := "the proxy ended and was started again"
		f.part(rhumb.HappenedProxy, proxyAway, at, text)
		phrase := "requests and connections that the proxy had were lost"
		f.worse(&trouble{symptom: proxyAway, at: at, size: 0.5, phrase: phrase,
			evidence: rhumb.Evidence{At: at, Text: text + ": " + phrase}})
	}
}

// part adds a happening of rhumb's own, unless the same is known already at about that time. An end of the engine shows
// in several places, each with its own words; each process of the proxy says all of itself.
func (f partFinder) part(kind rhumb.HappeningKind, as symptom, at time.Time, text string) {
	for _, h := range f.happenings {
		same := h.Kind == kind && (kind == rhumb.HappenedEngine || h.Text == text)
		if same && at.Sub(h.At).Abs() < 5*time.Minute {
			h.At, h.began = earliest(h.At, at), earliest(h.began, at)
			return
		}
	}
	h := f.happen(&happening{as: as, effect: true})
	h.Kind, h.At, h.Text, h.began = kind, at, text, at
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// restarts returns the times that a series of start times says, other than the first.
func (f partFinder) restarts(s signal, k key, least time.Duration) []time.Time {
	var times []time.Time
	last := 0.0
	for _, p := range f.of(s, k) {
		if last != 0 && p.Value-last > least.Seconds() {
			if at := time.UnixMilli(int64(p.Value * 1000)); !at.Before(f.early()) && !at.After(f.q.Until) {
				times = append(times, at)
			}
		}
		last = p.Value
	}
	return times
}

// logged returns the message of a line of rhumb's own.
func logged(l *rhumb.LogLine) string { return cmp.Or(l.Fields["msg"], l.Text) }

// ownLine finds what rhumb has logged about itself.
func (f partFinder) ownLine(l *rhumb.LogLine) {
	switch msg := logged(l); {
	case l.Kind == rhumb.LineProxy && msg == "engine event stream lost, retrying":
		f.part(rhumb.HappenedEngine, down, l.Time, "the engine was stopped or started again")
	case msg == "no certificate":
		host := l.Fields["host"]
		if f.certificates(host) {
			return
		}
		h := f.happen(&happening{force: 0.8})
		h.Kind, h.At, h.began = rhumb.HappenedCertificate, l.Time, l.Time
		h.Text = fmt.Sprintf("a certificate for %s can't be had: %s", clip(host), clip(l.Fields["err"]))
	}
}

// certificates reports whether a happening is about the certificate of a host.
func (f partFinder) certificates(host string) bool {
	return slices.ContainsFunc(f.happenings, func(h *happening) bool {
		return h.Kind == rhumb.HappenedCertificate && names(h.Text, host)
	})
}

// certificate finds that a certificate was changed, or has expired.
func (f partFinder) certificate(k key) {
	last := 0.0
	for _, p := range f.of(expires, k) {
		changed := last != 0 && p.Value != last && !p.Time.Before(f.early())
		at := time.Unix(int64(p.Value), 0)
		if changed {
			h := f.happen(&happening{force: 0.9})
			h.Kind, h.At, h.began = rhumb.HappenedCertificate, p.Time, p.Time.Add(-f.step)
			h.Text = fmt.Sprintf("the certificate of %s was changed; it expires on %s", k.other, at.UTC().Format("Jan 2 2006"))
		}
		expired := !p.Time.Before(at) && !at.Before(f.early())
		if expired && (last != p.Value || p.Time.Add(-f.step).Before(at)) {
			text := fmt.Sprintf("the certificate of %s has expired", k.other)
			ev := rhumb.Evidence{At: at, Text: text, Expr: fmt.Sprintf("rhumb_certificate_expires_seconds{host=%q}", k.other),
				Was: p.Value, Is: p.Value}
			h := f.happen(&happening{lasting: true, as: worn, effect: true})
			h.Kind, h.At, h.began, h.Text = rhumb.HappenedCertificate, at, at, text
			h.evidence = append(h.evidence, ev)
			f.worse(&trouble{symptom: worn, at: at, size: 0.7, phrase: text, evidence: ev})
		}
		last = p.Value
	}
}
