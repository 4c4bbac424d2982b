package notify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// stage is a sender that runs in simulated time. While a test changes or reads what it shares with send, no request is
// sent: that happens only while time passes.
type stage struct {
	*Sender
	t      *testing.T
	gate   sync.Mutex
	cancel context.CancelFunc
	done   chan error
}

// running returns a sender that runs until stop is called, with its receivers' requests going to send.
func running(t *testing.T, send func(r *receiver, req request) error, urls ...string) *stage {
	t.Helper()
	n, err := New(Options{URLs: urls, Host: "host1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{Sender: n, t: t, done: make(chan error, 1)}
	for _, r := range n.receivers {
		r.send = func(_ context.Context, req request) error {
			s.gate.Lock()
			defer s.gate.Unlock()
			return send(r, req)
		}
	}
	var ctx context.Context
	ctx, s.cancel = context.WithCancel(t.Context())
	s.gate.Lock()
	go func() { s.done <- n.Run(ctx) }()
	return s
}

// passes lets time pass.
func (s *stage) passes(d time.Duration) {
	s.gate.Unlock()
	time.Sleep(d)
	synctest.Wait()
	s.gate.Lock()
}

func (s *stage) stop() {
	s.gate.Unlock()
	s.cancel()
	if err := <-s.done; err != nil {
		s.t.Error(err)
	}
	s.gate.Lock()
}

func TestMessagesAreTriedAgainInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		tries, down := 0, true
		n := running(t, func(r *receiver, req request) error {
			tries++
			if down {
				return errors.New("down")
			}
			got = append(got, req.incident)
			return nil
		}, "https://h/a")
		for i := range 3 {
			m := message(Firing)
			m.At, m.Incident = time.Now(), string(rune('a'+i))
			n.Notify(m)
			n.passes(time.Second)
		}
		n.passes(2 * time.Hour)
		if tries < 10 || tries > 60 {
			t.Errorf("%d tries in two hours", tries)
		}
		if s := n.Receivers()[0]; s.LastError != "down" || s.URL != "https://h/…" {
			t.Errorf("it is %+v", s)
		}
		down = false
		n.passes(10 * time.Minute)
		if strings.Join(got, "") != "abc" || n.Receivers()[0].LastError != "" {
			t.Errorf("got %v: %+v", got, n.Receivers())
		}
		n.stop()
	})
}

func TestQueuesAreBoundedAndOldMessagesDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		var answer error = &refusal{text: "busy", after: 9 * time.Minute}
		n := running(t, func(_ *receiver, req request) error {
			if answer == nil {
				got = append(got, req.incident)
			}
			return answer
		}, "https://h/a")
		send := func(incident string) {
			m := message(Firing)
			m.At, m.Incident = time.Now(), incident
			n.Notify(m)
		}
		send("old")
		n.passes(maxAge + time.Hour)
		for range 3 * maxQueue {
			send("x")
			n.passes(time.Second)
		}
		send("last")
		answer = nil
		n.passes(time.Hour)
		if len(got) != maxQueue || got[maxQueue-1] != "last" || got[0] != "x" {
			t.Errorf("got %d: %v", len(got), got)
		}
		answer = &refusal{text: "bad request", final: true}
		send("refused")
		n.passes(time.Minute)
		answer = nil
		send("next")
		n.passes(time.Minute)
		if got[len(got)-1] != "next" || len(got) != maxQueue+1 {
			t.Errorf("at last %v", got[maxQueue:])
		}
		n.stop()
	})
}

func TestWaitingMessagesAreTriedOnceMoreAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer error = errors.New("down")
		got := 0
		n := running(t, func(*receiver, request) error {
			if answer == nil {
				got++
			}
			return answer
		}, "https://h/a")
		for range 3 {
			m := message(Firing)
			m.At = time.Now()
			n.Notify(m)
			n.passes(20 * time.Second)
		}
		answer = nil
		n.stop()
		if got != 3 {
			t.Errorf("%d of 3 arrive", got)
		}
	})
}

func TestTheDeadMansPingEndsWithTheEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pings := 0
		n := running(t, func(_ *receiver, req request) error {
			if req.method != http.MethodGet || req.url != "https://h/a" {
				t.Errorf("it gets %+v", req)
			}
			pings++
			return nil
		}, "deadman+https://h/a")
		evaluate := func(minutes int, alerts ...rhumb.Alert) int {
			pings = 0
			for range minutes * 4 {
				n.Current(alerts, nil)
				n.Notify(message(Firing)) // it isn't for the ping
				n.passes(15 * time.Second)
			}
			return pings
		}
		if got := evaluate(10, rhumb.Alert{Rule: "DiskFull"}); got < 9 || got > 11 {
			t.Errorf("%d pings in ten minutes", got)
		}
		if got := evaluate(10, rhumb.Alert{Rule: "MeasuringStopped"}); got > 1 {
			t.Errorf("%d pings while nothing is measured", got)
		}
		evaluate(1)
		pings = 0
		n.passes(10 * time.Minute)
		if pings > 3 {
			t.Errorf("%d pings while nothing is evaluated", pings)
		}
		n.stop()
	})
}

func TestAnAlertmanagerLearnsWhatIsCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		n := running(t, func(_ *receiver, req request) error {
			got = append(got, string(req.body))
			return nil
		}, "alertmanager+http://h:9093/am")
		a := message(Firing).New[0]
		for range 20 { // five minutes
			n.Current([]rhumb.Alert{a}, nil)
			n.passes(15 * time.Second)
		}
		if len(got) < 5 || len(got) > 7 {
			t.Errorf("%d reports in five minutes", len(got))
		}
		if !strings.Contains(got[0], `"alertname":"HighLatency"`) || strings.Contains(got[0], `"9`) ||
			!strings.Contains(got[0], `"severity":"critical"`) ||
			!strings.Contains(got[0], `"startsAt":"2026-11-27T03:07:00Z"`) {
			t.Errorf("it gets %s", got[0])
		}
		n.passes(10 * time.Second)
		before := len(got)
		a.State, a.Resolved = rhumb.AlertResolved, a.Since.Add(time.Minute)
		n.Current(nil, []rhumb.Alert{a})
		n.passes(time.Second)
		if len(got) != before+1 || !strings.Contains(got[before], `"endsAt":"2026-11-27T03:08:00Z"`) {
			t.Errorf("at the end it gets %v", got[before:])
		}
		n.stop()
	})
}
