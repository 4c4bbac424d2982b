package link

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"time"

	"rhumb"
	"rhumb/httpapi/client"
	"rhumb/httpapi/wire"
)

const (
	statusTime = 3 * time.Second // within which a living process answers
	countTime  = time.Minute     // for a count of lines
)

// Link is the daemon's end. It implements what a Keeper offers. Each call makes a connection of its own, so nothing
// has to be repaired after the process has died.
type Link struct {
	socket string
	http   *http.Client
}

var (
	_ rhumb.Observer      = (*Link)(nil)
	_ rhumb.LogForwarding = (*Link)(nil)
)

// Dial returns a link to the process that listens at the socket. It connects to nothing yet.
func Dial(socket string) *Link {
	d := net.Dialer{Timeout: statusTime}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) }
	return &Link{socket: socket, http: &http.Client{Transport: &http.Transport{
		DialContext: dial, DisableKeepAlives: true, DisableCompression: true,
	}}}
}

// Status describes the process. Unavailable: it doesn't answer within three seconds.
func (l *Link) Status(ctx context.Context) (Status, error) {
	limited, cancel := context.WithTimeout(ctx, statusTime)
	defer cancel()
	var st Status
	err := l.call(limited, http.MethodGet, statusPath, nil, &st)
	if err != nil && ctx.Err() == nil && limited.Err() != nil {
		err = l.away(fmt.Errorf("no answer within %s", statusTime))
	}
	return st, err
}

// Drained returns once all that a dead container wrote is taken, or ctx ends. Timeout: the process is still busy with
// it. Unavailable: the process doesn't answer.
func (l *Link) Drained(ctx context.Context, container string) error {
	return l.call(ctx, http.MethodPost, drainedPath+url.PathEscape(container), nil, nil)
}

// SetObserving sets what stacks ask for, by name; that of other stacks stays as it is, also across restarts, and is the
// zero Observing at first. Unavailable: the process doesn't answer, or can't write it down. NotFound: it is of an older
// version.
func (l *Link) SetObserving(ctx context.Context, asked map[string]rhumb.Observing) error {
	return l.call(ctx, http.MethodPut, observingPath, asked, nil)
}

// Lines implements rhumb.Observer.
func (l *Link) Lines(ctx context.Context, q rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		c, err := l.client(ctx)
		if err != nil {
			yield(rhumb.LogLine{}, err)
			return
		}
		defer c.Close()
		for line, err := range c.Lines(ctx, q) {
			if !yield(line, err) {
				return
			}
		}
	}
}

// LogCounts implements rhumb.Observer.
func (l *Link) LogCounts(ctx context.Context, q rhumb.LogQuery) ([]rhumb.LogCount, error) {
	return through(ctx, l, countTime, func(ctx context.Context, c *client.Client) ([]rhumb.LogCount, error) {
		return c.LogCounts(ctx, q)
	})
}

// LogDestinations implements rhumb.LogForwarding.
func (l *Link) LogDestinations(ctx context.Context) ([]rhumb.LogDestination, error) {
	return through(ctx, l, statusTime, func(ctx context.Context, c *client.Client) ([]rhumb.LogDestination, error) {
		return c.LogDestinations(ctx)
	})
}

// through calls the process, if it answers, and waits no longer than limit for the answer.
func through[T any](ctx context.Context, l *Link, limit time.Duration,
	call func(context.Context, *client.Client) (T, error)) (T, error) {
	c, err := l.client(ctx)
	if err != nil {
		var none T
		return none, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return call(ctx, c)
}

// client returns a client of the process's API, if the process answers.
func (l *Link) client(ctx context.Context) (*client.Client, error) {
	if _, err := l.Status(ctx); err != nil {
		return nil, err
	}
	return client.New("unix://" + l.socket)
}

// call makes a request with a JSON body and answer; nil means none.
func (l *Link) call(ctx context.Context, method, path string, body, answer any) error {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://observe"+path, r)
	if err != nil {
		return err
	}
	resp, err := l.http.Do(req)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return l.away(err)
	}
	defer resp.Body.Close()
	dec := json.NewDecoder(io.LimitReader(resp.Body, wire.MaxSmall))
	var p wire.Problem
	switch {
	case resp.StatusCode == http.StatusOK && answer == nil:
	case resp.StatusCode == http.StatusOK:
		err = dec.Decode(answer)
	default:
		if err = dec.Decode(&p); err == nil {
			return p.Err()
		}
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return l.away(err)
	}
	return nil
}

// away returns the error of a process that doesn't answer.
func (l *Link) away(err error) error {
	return rhumb.Errorf(rhumb.Unavailable, "the process that keeps logs doesn't answer: %w", err).
		WithHint("its log says why: journalctl -u rhumb-observe, or observe.log in the state folder")
}
