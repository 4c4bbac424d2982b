package ready

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// The next probe is made after a 25th of the time since the start, within these bounds: soon for what is quick, seldom
// for what is slow, and late by a few hundredths at most.
const (
	soonest = 10 * time.Millisecond
	Latest  = 250 * time.Millisecond
	timeout = 2 * time.Second
)

// Prober is one way to ask a replica whether it is ready.
type Prober func(ctx context.Context) error

// Pace says how long to wait before the next probe, given how long a replica has run and how long was waited last.
type Pace func(ran, last time.Duration) time.Duration

// Quick is the pace of probes that cost nothing.
func Quick(ran, _ time.Duration) time.Duration { return min(max(ran/25, soonest), Latest) }

// Dial tries once whether something listens at an address.
func Dial(ctx context.Context, at netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// asking has no connections kept: a probe must not hold a replica's connections open.
var asking = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Ask asks once, over HTTP, for a path and its query; the answer must be 200 to 399.
func Ask(ctx context.Context, at netip.AddrPort, path string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+path, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", "rhumb-ready")
	res, err := asking.Do(req)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return fmt.Errorf("GET %s: %s", req.URL.Path, res.Status)
	}
	return nil
}
