package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"rhumb"
)

// live is a stream of messages to a browser, as server-sent events.
type live struct {
	path string
	run  func(*server, *http.Request, sender) error // until it fails or the request's context ends
}

// sender sends a message to a browser. Its error means that the browser has left.
type sender func(event string, data any) error

// lives are all streams.
var lives = []live{
	{path: "/live", run: changes},
	{path: "/logs/live", run: tailLogs},
}

// stream serves a stream: with an end, and a deadline for each message.
func (s *server) stream(l live) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.streams <- struct{}{}:
			defer func() { <-s.streams }()
		default:
			w.Header().Set("Retry-After", "30")
			http.Error(w, "rhumb: too many live streams", http.StatusServiceUnavailable)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), streamLimit)
		defer cancel()
		w.Header().Set("Content-Type", "text/event-stream")
		c := http.NewResponseController(w)
		_ = c.SetReadDeadline(time.Time{}) // a read that times out would end the request
		send := func(event string, data any) error {
			text, err := json.Marshal(data)
			if err != nil {
				return err
			}
			_ = c.SetWriteDeadline(time.Now().Add(writeTime)) // see guarded
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text); err != nil {
				return err
			}
			return c.Flush()
		}
		if err := send("hello", nil); err != nil {
			return
		}
		if err := l.run(s, r.WithContext(ctx), send); err != nil && ctx.Err() == nil {
			_ = send("failed", problem(err))
		}
	})
}

// liveAt returns the address of the stream that says when a page has changed: upon each event of the stack (with "" of
// all), and as often as every says, for what is measured.
func liveAt(stack string, every time.Duration) string {
	q := "/live?every=" + strconv.Itoa(int(every.Seconds()))
	if stack != "" {
		q += "&stack=" + urlQuery(stack)
	}
	return q
}

// changes sends "changed" upon each event, and now and then. Several events in a row are one message. While the daemon
// doesn't answer it keeps trying; the page itself says what is missing.
func changes(s *server, r *http.Request, send sender) error {
	seconds, _ := strconv.Atoi(r.URL.Query().Get("every"))
	tick := time.NewTicker(time.Duration(min(max(seconds, 2), 300)) * time.Second)
	defer tick.Stop()
	happened := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(r.Context())
	var follower sync.WaitGroup
	defer follower.Wait()
	defer cancel()
	follower.Go(func() { followEvents(s, ctx, r.URL.Query().Get("stack"), happened) })
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-happened:
		case <-tick.C:
		}
		if err := send("changed", nil); err != nil {
			return err
		}
	}
}

// followEvents reports each event of a stack until ctx ends, and once that the daemon has gone. A report that waits
// stands for those after it.
func followEvents(s *server, ctx context.Context, stack string, happened chan<- struct{}) {
	gone := false
	for wait := time.Second; ctx.Err() == nil; wait = min(2*wait, 15*time.Second) {
		f := rhumb.EventFilter{Stack: stack, Since: s.now(), Follow: true}
		for _, err := range s.History.Events(ctx, f) {
			if err != nil && gone {
				continue
			}
			if gone = err != nil; !gone {
				wait = time.Second
			}
			select {
			case happened <- struct{}{}:
			default:
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}
