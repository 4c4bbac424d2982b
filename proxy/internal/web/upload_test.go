package web

import (
	"log/slog"
	"strings"
	"testing"

	"rhumb/proxy/internal/http1"
)

// replicaSide is what a body is sent to.
type replicaSide struct {
	strings.Builder
	closed bool
}

// Close closes it.
func (r *replicaSide) Close() error {
	r.closed = true
	return nil
}

// The goroutine that sends a body is not the one whose panics end their connection anyway.
func TestAFaultWhileABodyIsSentEndsOnlyItsConnection(t *testing.T) {
	var log strings.Builder
	c := &conversation{server: New(Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})}
	c.request = http1.Request{Length: 5}
	c.in.put([]byte("words"))
	u, to := &c.exchange.upload, &replicaSide{}
	u.c = c
	u.reset(&c.request)
	u.start(to, nil) // there is nothing to count its bytes with
	u.wait()
	if !to.closed || !u.cut.Load() || !strings.Contains(log.String(), "panic serving a connection") {
		t.Errorf("closed %v, cut %v, log %q", to.closed, u.cut.Load(), log.String())
	}
}
