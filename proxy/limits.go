package proxy

import (
	"syscall"
	"time"

	"rhumb"
	"rhumb/proxy/internal/inbound"
)

// Limits bounds everything that a client, a backend or a successor can make the proxy spend. A field that is zero
// takes its value from DefaultLimits.
type Limits struct {
	Conns          int // open client connections per listener; over it accepting waits
	TotalConns     int // open client connections in all
	Upstreams      int // connections to endpoints in all, idle ones too; a request over it is answered 503
	Streams        int // requests of HTTP/2 in all, beside the first of each connection; one more is answered 503
	BackendStreams int // as many of one backend
	ClientStreams  int // as many of one client address at one backend; up to as many more wait
	Sessions       int // UDP sessions per listener; the oldest unsettled one gives way to one more
	TotalSessions  int // UDP sessions in all
	Waiting        int // requests or connections held per backend; one more is answered 503 at once
	Header         int // bytes of a request's header
	Progress       int // bytes that must move within ProgressTime; fewer count as none

	HeaderTime   time.Duration // from a request's first byte (or the connection's start) to its header's end
	IdleTime     time.Duration // a kept-alive client connection without a request
	ProgressTime time.Duration // a request's or answer's body in which nothing moves on the client's side
	HalfTime     time.Duration // a TCP connection that one side has ended, and in which not a byte moves
	StillTime    time.Duration // a TCP connection without a byte, after which it gives way once the last place is taken
	DialTime     time.Duration // one attempt to connect to an endpoint
	FailTime     time.Duration // how long an endpoint that could not be connected to is avoided
	SessionTime  time.Duration // a UDP session without a datagram

	QuietTime    time.Duration // after a handover: an idle client connection is closed once quiet for this long
	HandoverTime time.Duration // after a handover: what is still open then is cut
	StopTime     time.Duration // on a stop without a successor: what is still open then is cut
}

// DefaultLimits returns the limits that the proxy has unless told otherwise. What takes descriptors has a share of
// those that the process may have: 7/20 are the clients' connections, 10/20 those to endpoints (one for each client
// connection and 3/20 for streams), 2/20 UDP sessions. The rest is the reserve, which no client can take: it is for
// listeners and the control socket. One listener gets at most half of a share, so that the others go on beside one that
// is flooded.
func DefaultLimits() Limits {
	part := max(files(), 128) / 20
	return Limits{
		Conns: min(10_000, part*7/2), TotalConns: part * 7, Upstreams: part * 10,
		Streams: min(10_000, part*3), BackendStreams: min(1_000, part*2), ClientStreams: min(500, part),
		Sessions: min(10_000, part), TotalSessions: part * 2,
		Waiting: 1_000, Header: 64 << 10, Progress: 256,
		HeaderTime: 10 * time.Second, IdleTime: 90 * time.Second, ProgressTime: 10 * time.Second, HalfTime: 5 * time.Minute,
		StillTime: 10 * time.Minute,
		DialTime:  2 * time.Second, FailTime: time.Second, SessionTime: 30 * time.Second,
		QuietTime: 10 * time.Second, HandoverTime: 5 * time.Minute, StopTime: 10 * time.Second,
	}
}

// Validate tells whether the limits make sense: none may be negative.
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

// inbound gives those of one connection.
func (l Limits) inbound() inbound.Limits {
	return inbound.Limits{Header: l.Header, Progress: l.Progress, ProgressTime: l.ProgressTime}
}

// numbers and times are all fields, in the order of their declaration.
func (l *Limits) numbers() []*int {
	return []*int{&l.Conns, &l.TotalConns, &l.Upstreams, &l.Streams, &l.BackendStreams, &l.ClientStreams,
		&l.Sessions, &l.TotalSessions, &l.Waiting, &l.Header, &l.Progress}
}

func (l *Limits) times() []*time.Duration {
	return []*time.Duration{&l.HeaderTime, &l.IdleTime, &l.ProgressTime, &l.HalfTime, &l.StillTime,
		&l.DialTime, &l.FailTime, &l.SessionTime, &l.QuietTime, &l.HandoverTime, &l.StopTime}
}

// withDefaults fills what is zero.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
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

// slots is a counting semaphore. Only one goroutine waits on a listener's, so it needs no fairness.
type slots chan struct{}

// take reports whether there was a place.
func (s slots) take() bool {
	select {
	case s <- struct{}{}:
		return true
	default:
		return false
	}
}

func (s slots) release() { <-s }
