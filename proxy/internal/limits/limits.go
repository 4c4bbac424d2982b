// Package limits bounds what clients, backends and successors can make the proxy spend, and counts what they take.
package limits

import (
	"syscall"
	"time"

	"rhumb"
)

// Limits bounds everything that a client, a backend or a successor can make the proxy spend. A field that is zero takes
// its value from Default.
type Limits struct {
	Conns          int // open client connections per listener; over it accepting waits
	TotalConns     int // open client connections in all
	EndpointConns  int // connections to endpoints in all, idle ones too; a request over it is answered 503
	Streams        int // requests of HTTP/2 in all, beside the first of each connection; one more is answered 503
	BackendStreams int // the same for one backend
	ClientStreams  int // the same for one client address at one backend; up to as many more wait
	Sessions       int // UDP sessions per listener; the oldest unsettled one makes room for one more
	TotalSessions  int // UDP sessions in all
	Waiting        int // requests or connections held per backend; one more is answered 503 at once
	Header         int // bytes of a request's header
	Progress       int // bytes that must move within ProgressTime; fewer count as none

	HeaderTime   time.Duration // from a request's first byte (or the connection's start) to its header's end
	IdleTime     time.Duration // a kept-alive client connection without a request
	ProgressTime time.Duration // a request's or answer's body in which nothing moves on the client's side
	HalfTime     time.Duration // a TCP connection that one side has ended, and in which no byte moves
	// a TCP connection without a byte, after which it makes room once the last place is taken
	StillTime   time.Duration
	DialTime    time.Duration // one attempt to connect to an endpoint
	FailTime    time.Duration // how long an endpoint that could not be connected to is avoided
	SessionTime time.Duration // a UDP session without a datagram

	QuietTime    time.Duration // after a handover: an idle client connection is closed once quiet for this long
	HandoverTime time.Duration // after a handover: what is still open then is cut
	StopTime     time.Duration // on a stop without a successor: what is still open then is cut
}

// Default returns the limits for this process. What takes descriptors has a share of those that the process may have:
// 7/20 are for client connections, 10/20 for connections to endpoints (one for each client connection, and 3/20 for
// streams), 2/20 for UDP sessions. The rest is the reserve for listeners and the control socket, which no client can
// take. One listener gets at most half of a share, so that a flooded listener leaves room for the others.
func Default() Limits {
	part := max(files(), 128) / 20
	return Limits{
		Conns: min(10_000, part*7/2), TotalConns: part * 7, EndpointConns: part * 10,
		Streams: min(10_000, part*3), BackendStreams: min(1_000, part*2), ClientStreams: min(500, part),
		Sessions: min(10_000, part), TotalSessions: part * 2,
		Waiting: 1_000, Header: 64 << 10, Progress: 256,
		HeaderTime: 10 * time.Second, IdleTime: 90 * time.Second, ProgressTime: 10 * time.Second,
		HalfTime: 5 * time.Minute, StillTime: 10 * time.Minute,
		DialTime: 2 * time.Second, FailTime: time.Second, SessionTime: 30 * time.Second,
		QuietTime: 10 * time.Second, HandoverTime: 5 * time.Minute, StopTime: 10 * time.Second,
	}
}

// Validate returns an error with the code Invalid if a limit is negative.
func (l Limits) Validate() error {
	for _, n := range l.numbers() {
		if *n < 0 {
			return rhumb.Errorf(rhumb.Invalid, "proxy limits: %d is negative", *n).WithHint("0 takes the default")
		}
	}
	for _, d := range l.times() {
		if *d < 0 {
			return rhumb.Errorf(rhumb.Invalid, "proxy limits: %v is negative", *d).WithHint("0 takes the default")
		}
	}
	return nil
}

// numbers and times return all fields, in the order of their declaration.
func (l *Limits) numbers() []*int {
	return []*int{&l.Conns, &l.TotalConns, &l.EndpointConns, &l.Streams, &l.BackendStreams, &l.ClientStreams,
		&l.Sessions, &l.TotalSessions, &l.Waiting, &l.Header, &l.Progress}
}

func (l *Limits) times() []*time.Duration {
	return []*time.Duration{&l.HeaderTime, &l.IdleTime, &l.ProgressTime, &l.HalfTime, &l.StillTime,
		&l.DialTime, &l.FailTime, &l.SessionTime, &l.QuietTime, &l.HandoverTime, &l.StopTime}
}

// WithDefaults returns the limits with the default of each field that is zero.
func (l Limits) WithDefaults() Limits {
	d := Default()
	numbers, times := d.numbers(), d.times()
	for i, n := range l.numbers() {
		if *n == 0 {
			*n = *numbers[i]
		}
	}
	for i, t := range l.times() {
		if *t == 0 {
			*t = *times[i]
		}
	}
	return l
}

// files returns how many descriptors the process may have. Go raises the soft limit to the hard one at the start.
func files() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 1024
	}
	return int(min(r.Cur, 1<<20))
}

// Places is a counting semaphore. Its capacity is how many places there are.
type Places chan struct{}

// Take takes a place, and reports whether there was one.
func (p Places) Take() bool {
	select {
	case p <- struct{}{}:
		return true
	default:
		return false
	}
}

// Release releases a place.
func (p Places) Release() { <-p }
