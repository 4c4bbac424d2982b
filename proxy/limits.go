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
	Conns      int // open client connections per listener; over it accepting waits
	TotalConns int // open client connections in all; the default is what the process's file descriptors allow
	Waiting    int // requests or connections held per backend; one more is answered 503 at once
	Sessions   int // UDP sessions per listener; datagrams of one more client are dropped
	Header     int // bytes of a request's header
	Progress   int // bytes that must move within ProgressTime; fewer count as none

	HeaderTime   time.Duration // from a request's first byte (or the connection's start) to its header's end
	IdleTime     time.Duration // a kept-alive client connection without a request
	ProgressTime time.Duration // a request's or answer's body in which nothing moves on the client's side
	HalfTime     time.Duration // a TCP connection that one side has ended, and in which not a byte moves
	DialTime     time.Duration // one attempt to connect to an endpoint
	FailTime     time.Duration // how long an endpoint that could not be connected to is avoided
	SessionTime  time.Duration // a UDP session without a datagram

	QuietTime    time.Duration // after a handover: an idle client connection is closed once quiet for this long
	HandoverTime time.Duration // after a handover: what is still open then is cut
	StopTime     time.Duration // on a stop without a successor: what is still open then is cut
}

// DefaultLimits gives the limits that the proxy has unless told otherwise.
func DefaultLimits() Limits {
	return Limits{
		Conns: 10_000, TotalConns: connsByFiles(), Waiting: 1_000, Sessions: 10_000, Header: 64 << 10, Progress: 256,
		HeaderTime: 10 * time.Second, IdleTime: 90 * time.Second, ProgressTime: 10 * time.Second, HalfTime: 5 * time.Minute,
		DialTime: 2 * time.Second, FailTime: time.Second, SessionTime: 30 * time.Second,
		QuietTime: 10 * time.Second, HandoverTime: 5 * time.Minute, StopTime: 10 * time.Second,
	}
}

// Validate tells whether the limits make sense: none may be negative.
func (l Limits) Validate() error {
	for _, n := range []int{l.Conns, l.TotalConns, l.Waiting, l.Sessions, l.Header, l.Progress} {
		if n < 0 {
			return rhumb.Errorf(rhumb.Invalid, "proxy limits: %d is negative", n).WithHint("0 takes the default")
		}
	}
	for _, d := range []time.Duration{l.HeaderTime, l.IdleTime, l.ProgressTime, l.HalfTime, l.DialTime, l.FailTime,
		l.SessionTime, l.QuietTime, l.HandoverTime, l.StopTime} {
		if d < 0 {
			return rhumb.Errorf(rhumb.Invalid, "proxy limits: %v is negative", d).WithHint("0 takes the default")
		}
	}
	return nil
}

// inbound gives those of one connection.
func (l Limits) inbound() inbound.Limits {
	return inbound.Limits{Header: l.Header, Progress: l.Progress, ProgressTime: l.ProgressTime}
}

// withDefaults fills what is zero.
func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	for _, p := range [][2]*int{{&l.Conns, &d.Conns}, {&l.TotalConns, &d.TotalConns}, {&l.Waiting, &d.Waiting},
		{&l.Sessions, &d.Sessions}, {&l.Header, &d.Header}, {&l.Progress, &d.Progress}} {
		if *p[0] == 0 {
			*p[0] = *p[1]
		}
	}
	for _, p := range [][2]*time.Duration{{&l.HeaderTime, &d.HeaderTime}, {&l.IdleTime, &d.IdleTime},
		{&l.ProgressTime, &d.ProgressTime}, {&l.HalfTime, &d.HalfTime}, {&l.DialTime, &d.DialTime},
		{&l.FailTime, &d.FailTime}, {&l.SessionTime, &d.SessionTime}, {&l.QuietTime, &d.QuietTime},
		{&l.HandoverTime, &d.HandoverTime}, {&l.StopTime, &d.StopTime}} {
		if *p[0] == 0 {
			*p[0] = *p[1]
		}
	}
	return l
}

// connsByFiles gives how many client connections the file descriptors suffice for: each takes one and its endpoint
// another; a tenth is left for listeners, UDP sessions and the control socket.
func connsByFiles() int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		return 500
	}
	return max(16, int(min(r.Max, 1<<20)*9/20))
}

// slots is a counting semaphore. Only one goroutine waits on a listener's, so it needs no fairness.
type slots chan struct{}

func (s slots) release() { <-s }
