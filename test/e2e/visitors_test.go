package e2e

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// visitors ask a URL at random moments, at a rate that can change. What becomes of their requests isn't counted: the
// server is to find that out.
type visitors struct {
	client *http.Client
	rate   atomic.Int64 // requests in a thousand seconds
	busy   chan struct{}
	done   sync.WaitGroup
}

// visit starts visitors that end with the test. A nil client is a usual one.
func visit(t *testing.T, client *http.Client, url string, rate float64) *visitors {
	t.Helper()
	if client == nil {
		client = &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
	}
	v := &visitors{client: client, busy: make(chan struct{}, 40)}
	v.change(rate)
	ctx, stop := context.WithCancel(context.Background())
	v.done.Go(func() { v.come(ctx, url) })
	t.Cleanup(func() {
		stop()
		v.done.Wait()
		client.CloseIdleConnections()
	})
	return v
}

// change sets the rate, in requests a second.
func (v *visitors) change(rate float64) { v.rate.Store(int64(1000 * rate)) }

func (v *visitors) come(ctx context.Context, url string) {
	for {
		pause := 200 * time.Millisecond
		rate := v.rate.Load()
		if rate > 0 {
			pause = time.Duration(float64(1000*time.Second) / float64(rate) * (0.3 + 1.4*rand.Float64()))
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if rate == 0 {
			continue
		}
		select {
		case v.busy <- struct{}{}:
			v.done.Go(func() {
				v.ask(ctx, url)
				<-v.busy
			})
		default: // so many wait already
		}
	}
}

func (v *visitors) ask(ctx context.Context, url string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
}
