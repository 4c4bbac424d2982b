// Package notify sends messages about alerts: to webhooks, Slack, Discord, ntfy, by mail and to an Alertmanager; and
// pings an address that notices when nothing comes any more. Each receiver has a short queue of its own, so that one
// that is away costs neither the caller nor another receiver any time. docs/alerts.md describes the URLs.
package notify

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"rhumb"
	"rhumb/internal/alertrule"
)

const (
	sendTime     = 15 * time.Second // within which a receiver must take a message
	currentEvery = time.Minute      // between two pings, and two reports of unchanged alerts to an Alertmanager
	currentOld   = 2 * time.Minute  // the evaluation of the rules has stopped if it said nothing for so long
)

// Options configure a Sender.
type Options struct {
	URLs []string
	Host string       // this machine's name in messages; "": os.Hostname
	Log  *slog.Logger // nil: slog.Default
}

// Sender sends messages to its receivers while Run runs.
type Sender struct {
	receivers []*receiver
	host      string

	mu      sync.Mutex
	firing  []rhumb.Alert
	ended   []rhumb.Alert
	said    time.Time       // when Current was last called
	changed []chan struct{} // of the receivers that get what is current; each has room for one
}

// New returns a sender for the URLs. It starts nothing. Invalid: a URL can't be used.
func New(o Options) (*Sender, error) {
	endpoints, err := parseAll(o.URLs)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Host == "" {
		o.Host, _ = os.Hostname() // without one, messages have no host
	}
	n := &Sender{host: o.Host}
	for _, e := range endpoints {
		n.receivers = append(n.receivers, newReceiver(e, o.Host, o.Log))
	}
	return n, nil
}

// Notify has a message sent to all receivers. It never blocks: a receiver whose queue is full loses its oldest message.
func (n *Sender) Notify(m Message) {
	for _, r := range n.receivers {
		if r.takes() {
			r.offer(m)
		}
	}
}

// Current says which alerts fire now, and which ended a short time ago. An Alertmanager gets both. The address of the
// dead man's ping gets pings as long as Current is called and something is measured.
func (n *Sender) Current(firing, ended []rhumb.Alert) {
	n.mu.Lock()
	defer n.mu.Unlock()
	same := slices.EqualFunc(n.firing, firing, sameAlert) && slices.EqualFunc(n.ended, ended, sameAlert)
	n.firing, n.ended, n.said = firing, ended, time.Now()
	if same {
		return
	}
	for _, c := range n.changed {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

func sameAlert(a, b rhumb.Alert) bool { return a.ID == b.ID && a.State == b.State }

// Run sends messages until ctx ends. It then tries those that are waiting once more, for a few seconds. It is called
// once.
func (n *Sender) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for _, r := range n.receivers {
		if r.takes() {
			wg.Go(func() { r.run(ctx) })
			continue
		}
		wake := make(chan struct{}, 1)
		n.mu.Lock()
		n.changed = append(n.changed, wake)
		n.mu.Unlock()
		wg.Go(func() { n.report(ctx, r, wake) })
	}
	wg.Wait()
	return nil
}

// report sends what is current to an Alertmanager or to the address of the dead man's ping.
func (n *Sender) report(ctx context.Context, r *receiver, changed <-chan struct{}) {
	tick := time.NewTicker(currentEvery)
	defer tick.Stop()
	if r.kind != "alertmanager" {
		changed = nil
	}
	for {
		if body, ok := n.currentFor(r); ok {
			_ = r.try(ctx, body) // it is recorded, and the next one comes soon
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-changed:
		}
	}
}

// currentFor returns the request that a receiver gets now, if it gets one.
func (n *Sender) currentFor(r *receiver) (request, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	blind := func(a rhumb.Alert) bool { return a.Rule == alertrule.MeasuringStopped }
	switch {
	case n.said.IsZero() || now.Sub(n.said) > currentOld:
		return request{}, false
	case r.kind == "deadman":
		return request{method: http.MethodGet, url: r.url}, !slices.ContainsFunc(n.firing, blind)
	case len(n.firing)+len(n.ended) == 0:
		return request{}, false
	}
	return alertmanager(r.endpoint, n.host, n.firing, n.ended, now), true
}

// Receivers returns where messages are sent, and how the last attempt went, in the order of the configuration.
func (n *Sender) Receivers() []rhumb.AlertReceiver {
	all := make([]rhumb.AlertReceiver, 0, len(n.receivers))
	for _, r := range n.receivers {
		all = append(all, r.status())
	}
	return all
}

// Test sends a test message to each receiver, all at once, and returns how it went.
func (n *Sender) Test(ctx context.Context) []rhumb.AlertReceiver {
	now := time.Now()
	m := Message{Kind: Test, Incident: fmt.Sprintf("test-%d", now.Unix()), At: now}
	var wg sync.WaitGroup
	for _, r := range n.receivers {
		req := r.render(m)
		switch r.kind {
		case "deadman":
			req = request{method: http.MethodGet, url: r.url}
		case "alertmanager":
			test := rhumb.Alert{ID: "test", Rule: "Test", Severity: rhumb.SeverityWarning, Since: now,
				State: rhumb.AlertFiring, Text: "this is a test"}
			req = alertmanager(r.endpoint, n.host, []rhumb.Alert{test}, nil, now)
		}
		wg.Go(func() { _ = r.try(ctx, req) }) // it is recorded
	}
	wg.Wait()
	return n.Receivers()
}
