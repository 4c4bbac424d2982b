package why

import (
	"cmp"
	"slices"
	"time"

	"rhumb"
	"rhumb/observe/why/changepoint"
)

// symptom is a way to be worse.
type symptom int

const (
	failed     symptom = iota // more requests fail
	slow                      // requests take longer
	lost                      // requests find no replica, or lose it
	down                      // replicas aren't ready
	crashed                   // a replica has ended
	killed                    // for its memory
	swollen                   // its memory nears its limit
	starved                   // it has reached its limit of CPU
	sick                      // its check fails
	noisy                     // more lines report errors, or new ones do
	fewer                     // requests don't come any more
	more                      // more requests come
	hot                       // it needs more CPU
	weak                      // others don't get from it what they need
	aborted                   // a deployment has failed
	filled                    // a disk is full
	worn                      // a certificate has expired
	hostMemory                // the machine has no memory left
	hostCPU                   // its CPUs are busy
	slowDisk
	proxyAway
	symptoms // how many there are
)

// trouble is what became worse, and where.
type trouble struct {
	symptom
	stack, service string
	at             time.Time
	size           float64 // 0 to 1: how bad it is
	phrase         string  // "errors rose from 0.1% to 18%"
	evidence       rhumb.Evidence
	signal         signal
	key            key
}

// happening is a rhumb.Happening, and what is needed to judge it.
type happening struct {
	rhumb.Happening
	began    time.Time // the earliest time at which it could have an effect
	until    time.Time // when it ended; zero: it lasts, or has no end
	lasting  bool      // it has effects for as long as it lasts, not only at its beginning
	services []string  // those that it touches, other than Service
	as       symptom   // what it is, as the effect of another one
	effect   bool      // as is set
	force    float64   // 0 to 1: how sure it is, and how strong
	from     int       // the release before
	hog      string    // the stack that took the machine's CPUs
	evidence []rhumb.Evidence
}

// touches reports whether a happening is directly about a service.
func (h *happening) touches(service string) bool {
	return h.Service == service || slices.Contains(h.services, service)
}

// findings are what was found in the records.
type findings struct {
	*records
	troubles   []*trouble
	happenings []*happening
}

// find finds what became worse, and what happened.
func find(r *records) *findings {
	f := &findings{records: r}
	deploymentFinder{f}.deployments()
	endFinder{f}.ends()
	serviceFinder{f}.services()
	machineFinder{f}.machine()
	partFinder{f}.parts()
	lineFinder{f}.logs()
	dependencyFinder{f}.dependencies()
	slices.SortStableFunc(f.troubles, func(a, b *trouble) int { return a.at.Compare(b.at) })
	slices.SortStableFunc(f.happenings, func(a, b *happening) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Stack, b.Stack),
			cmp.Compare(a.Service, b.Service))
	})
	return f
}

// happen adds a happening. Unless it says otherwise, it can have effects from its time on.
func (f *findings) happen(h *happening) *happening {
	if h.began.IsZero() {
		h.began = h.At
	}
	if h.force == 0 {
		h.force = 1
	}
	f.happenings = append(f.happenings, h)
	return h
}

// worse adds a trouble.
func (f *findings) worse(t *trouble) { f.troubles = append(f.troubles, t) }

// tolerance is how much earlier than its cause an effect may seem to begin: rates are taken over a time.
func (r *records) tolerance() time.Duration { return max(time.Minute+15*time.Second, 2*r.step) }

// early returns the time from which on happenings count.
func (r *records) early() time.Time { return r.q.Since.Add(-lead) }

// of returns the points of a signal for a key.
func (r *records) of(s signal, k key) []rhumb.Point {
	for i := range r.series[s] {
		if r.series[s][i].key == k {
			return r.series[s][i].points
		}
	}
	return nil
}

// changes returns the changes of a signal for a key.
func (r *records) changes(s signal, k key, rule changepoint.Rule) []changepoint.Change {
	return changepoint.Find(r.of(s, k), r.q.Since, rule)
}

// keys returns the keys of a signal.
func (r *records) keys(s signal) []key {
	var keys []key
	for i := range r.series[s] {
		keys = append(keys, r.series[s][i].key)
	}
	return keys
}

// mean returns the mean of a series in a time, and the number of points.
func mean(points []rhumb.Point, from, to time.Time) (float64, int) {
	var sum float64
	n := 0
	for _, p := range points {
		if !p.Time.Before(from) && !p.Time.After(to) {
			sum += p.Value
			n++
		}
	}
	if n == 0 {
		return 0, 0
	}
	return sum / float64(n), n
}

// ratio returns a/b at the times that both have, where b isn't 0.
func ratio(a, b []rhumb.Point) []rhumb.Point {
	var points []rhumb.Point
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch c := a[i].Time.Compare(b[j].Time); {
		case c < 0:
			i++
		case c > 0:
			j++
		default:
			if b[j].Value > 0 {
				points = append(points, rhumb.Point{Time: a[i].Time, Value: a[i].Value / b[j].Value})
			}
			i++
			j++
		}
	}
	return points
}
