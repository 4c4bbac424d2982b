package transparent

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A trial finds out whether the answers of an endpoint's replica come back: whether its way to strangers is through
// this machine, and no filter is in that way. It connects from an address that no client has to a port that no server
// has. The replica's kernel refuses that, whatever its application is doing, and the refusal comes back or not. That
// takes less than a millisecond. Without a trial, the first clients would find out, each with a connection that hangs.

// Addresses for documentation (RFC 5737, RFC 3849).
var (
	stranger4 = netip.MustParseAddr("192.0.2.1")
	stranger6 = netip.MustParseAddr("2001:db8::1")
)

const (
	closedPort  = 1                      // tcpmux, which no image serves
	trialTime   = 150 * time.Millisecond // for all trials of a look
	controlTime = 50 * time.Millisecond  // for one more of an endpoint that didn't answer, from our own address
	trialsAt    = 64                     // at a time
	firstWait   = 20 * time.Millisecond  // for an answer; twice as long each time
)

// try tries endpoints on this machine's bridges: those that were never tried, and those that again names. The caller
// holds mu.
func (m *Machine) try(ctx context.Context, p *picture, again func(netip.Addr) bool) {
	limited, cancel := context.WithTimeout(ctx, trialTime)
	defer cancel()
	var due []netip.Addr
	for e := range m.wanted {
		broken := p.broken6
		if e.Is4() {
			broken = p.broken4
		}
		if _, tried := m.trials[e]; broken == "" && p.bridgeOf(e) != nil && (!tried || again(e)) {
			due = append(due, e)
		}
	}
	whys := make([]string, len(due))
	places := make(chan struct{}, trialsAt)
	var work sync.WaitGroup
	for i, e := range due {
		places <- struct{}{}
		work.Go(func() {
			defer func() { <-places }()
			whys[i] = m.answers(ctx, limited, e)
		})
	}
	work.Wait()
	if ctx.Err() != nil {
		return // they were cut short
	}
	for i, e := range due {
		before := m.trials[e].why
		if m.trials[e] = (trial{why: whys[i], at: time.Now()}); whys[i] != before {
			m.log.Info("endpoint tried with a client's address", "endpoint", e, "before", before, "now", whys[i])
		}
	}
}

// answers returns why the replica's answers don't come back; "" if they do. If those to this machine's own address
// don't either, the trial says nothing: the network isn't up yet, or the machine is too busy. What was known stays.
func (m *Machine) answers(ctx, limited context.Context, endpoint netip.Addr) string {
	why := ask(limited, endpoint, func(ctx context.Context, to netip.AddrPort, limit time.Duration) (net.Conn, error) {
		return dial(ctx, stranger(endpoint), to, limit)
	})
	if why == "" || ctx.Err() != nil {
		return why
	}
	limited, cancel := context.WithTimeout(ctx, controlTime)
	defer cancel()
	own := ask(limited, endpoint, func(ctx context.Context, to netip.AddrPort, limit time.Duration) (net.Conn, error) {
		d := net.Dialer{Timeout: limit}
		return d.DialContext(ctx, "tcp", to.String())
	})
	if before, tried := m.trials[endpoint]; own != "" && tried {
		return before.why
	} else if own != "" {
		return unreached
	}
	return why
}

func stranger(endpoint netip.Addr) netip.Addr {
	if endpoint.Is4() {
		return stranger4
	}
	return stranger6
}

// ask connects to a closed port until an answer comes or ctx ends. It returns why none came; "" if one did.
func ask(ctx context.Context, endpoint netip.Addr,
	connect func(context.Context, netip.AddrPort, time.Duration) (net.Conn, error)) string {
	for wait := firstWait; ; wait *= 2 {
		c, err := connect(ctx, netip.AddrPortFrom(endpoint, closedPort), wait)
		var failure net.Error
		switch {
		case err == nil:
			_ = c.Close()
			return ""
		case errors.Is(err, unix.ECONNREFUSED):
			return ""
		case ctx.Err() != nil:
			return unanswered
		case !errors.As(err, &failure) || !failure.Timeout():
			return unanswered + ": " + err.Error()
		}
	}
}
