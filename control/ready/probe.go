package ready

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// The next probe follows after a 25th of the time since the start, within soonest and Latest: quick replicas are probed
// often, slow ones seldom, and readiness is noticed late by a few hundredths of the start time.
const (
	soonest      = 10 * time.Millisecond
	Latest       = 250 * time.Millisecond
	timeout      = 2 * time.Second
	firstTimeout = 10 * time.Second // for a request that wasn't written as a check: the first page may be slow
)

// Prober probes a replica once, and returns nil if it is ready.
type Prober func(ctx context.Context) error

// Pace returns how long to wait before the next probe, given how long the replica has run and the last wait.
type Pace func(ran, last time.Duration) time.Duration

// Quick is the pace of probes that cost next to nothing.
func Quick(ran, _ time.Duration) time.Duration { return min(max(ran/25, soonest), Latest) }

// Dial connects once, and returns an error unless something accepts.
func Dial(ctx context.Context, at netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", at.String())
	if err != nil {
		return err
	}
	return conn.Close()
}

// DialAny connects once to each of the ports until one accepts; the error is the first port's.
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

// client keeps no connections: a probe must not hold a replica's connections open.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// Ask sends one GET request for a path, which may have a query. Any status but 200 to 399 is an error.
func Ask(ctx context.Context, at netip.AddrPort, path string) error {
	status, err := get(ctx, at, "", path, timeout)
	if err == nil && (status < 200 || status > 399) {
		err = unexpected(path, status)
	}
	return err
}

// Answer sends one GET request for a path of a host ("": the address). A status below 500 proves that the application
// is there. A status of 500 or more is good enough if one of the peers, which serve, answers the same. So is no answer
// if that peer doesn't answer either.
func Answer(ctx context.Context, at netip.AddrPort, host, path string, peers []netip.AddrPort) error {
	status, err := get(ctx, at, host, path, firstTimeout)
	if err == nil && status < 500 {
		return nil
	}
	for _, peer := range peers {
		theirs, theirErr := get(ctx, peer, host, path, firstTimeout)
		if ctx.Err() == nil && (err == nil) == (theirErr == nil) && theirs == status {
			return nil
		}
	}
	if err == nil {
		err = unexpected(path, status)
	}
	return err
}

func unexpected(path string, status int) error {
	return fmt.Errorf("GET %s: %d %s", path, status, http.StatusText(status))
}

// get returns the status of the response to one GET request.
func get(ctx context.Context, at netip.AddrPort, host, path string, limit time.Duration) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at.String()+path, nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	req.Header.Set("User-Agent", "rhumb-ready")
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	res.Body.Close()
	return res.StatusCode, nil
}
