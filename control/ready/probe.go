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
	patient = 10 * time.Second // for a request that wasn't written as a check: the first page may be slow
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

// DialAny tries once whether something listens at one of the ports.
func DialAny(ctx context.Context, at netip.Addr, ports []uint16) error {
	var first error
	for _, port := range ports {
		err := Dial(ctx, netip.AddrPortFrom(at, port))
		if err == nil {
			return nil
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// asking has no connections kept: a probe must not hold a replica's connections open.
var asking = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Ask asks once, over HTTP, for a path and its query; the answer must be 200 to 399.
func Ask(ctx context.Context, at netip.AddrPort, path string) error {
	status, err := get(ctx, at, "", path, timeout)
	if err == nil && (status < 200 || status > 399) {
		err = answered(path, status)
	}
	return err
}

// Answer asks once, over HTTP, for a path of a host (""; the address). An answer below 500 proves that the application
// is there. Another one is good enough if one of the peers, which serve, answers the same; so is none, if they don't
// answer either.
func Answer(ctx context.Context, at netip.AddrPort, host, path string, peers []netip.AddrPort) error {
	status, err := get(ctx, at, host, path, patient)
	if err == nil && status < 500 {
		return nil
	}
	for _, peer := range peers {
		theirs, theirErr := get(ctx, peer, host, path, patient)
		if ctx.Err() == nil && (err == nil) == (theirErr == nil) && theirs == status {
			return nil
		}
	}
	if err == nil {
		err = answered(path, status)
	}
	return err
}

func answered(path string, status int) error {
	return fmt.Errorf("GET %s: %d %s", path, status, http.StatusText(status))
}

// get returns the status of the answer to a GET.
func get(ctx context.Context, at netip.AddrPort, host, path string, limit time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+path, nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	req.Header.Set("User-Agent", "rhumb-ready")
	res, err := asking.Do(req)
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}
