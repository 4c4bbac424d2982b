package client

import (
	"context"
	"iter"
	"log/slog"
	"net"
	"testing"

	"rhumb"
	"rhumb/httpapi"
)

// many has stacks enough for an answer that is sent in pieces.
type many struct{ rhumb.Server }

func (many) Stacks(context.Context) ([]rhumb.StackInfo, error) {
	return make([]rhumb.StackInfo, 500), nil
}

func (many) Events(context.Context, rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return func(func(rhumb.Event, error) bool) {}
}

func TestCallsOneAfterTheOtherShareAConnection(t *testing.T) {
	p := newPipes()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	go func() { done <- httpapi.Serve(ctx, p, httpapi.New(httpapi.All(many{}), log), log) }()
	dials := 0
	c := newClient("pipe", "http://rhumb", func(ctx context.Context, network, addr string) (net.Conn, error) {
		dials++
		return p.dial(ctx, network, addr)
	})
	for range 5 {
		if _, err := c.Stacks(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, err := range c.Events(t.Context(), rhumb.EventFilter{}) {
			t.Fatal(err)
		}
	}
	if dials != 1 {
		t.Errorf("%d connections were made", dials)
	}
	c.Close()
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
