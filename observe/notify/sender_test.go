package notify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// running returns a sender that runs until the test ends, with its receivers' requests going to send.
func running(t *testing.T, send func(r *receiver, req request) error, urls ...string) (n *Sender, stop func()) {
	t.Helper()
	n, err := New(Options{URLs: urls, Host: "host1", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range n.receivers {
		r.send = func(_ context.Context, req request) error { return send(r, req) }
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	return n, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestMessagesAreTriedAgainInTheirOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		tries, down := 0, true
		n, stop := running(t, func(r *receiver, req request) error {
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
			time.Sleep(time.Second)
		}
		time.Sleep(2 * time.Hour)
		if tries < 10 || tries > 60 {
			t.Errorf("%d tries in two hours", tries)
		}
		if s := n.Receivers()[0]; s.LastError != "down" || s.URL != "https://h/…" {
			t.Errorf("it is %+v", s)
		}
		down = false
		time.Sleep(10 * time.Minute)
		if strings.Join(got, "") != "abc" || n.Receivers()[0].LastError != "" {
			t.Errorf("got %v: %+v", got, n.Receivers())
		}
		stop()
	})
}

func TestQueuesAreBoundedAndOldMessagesDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		var answer error = &refusal{text: "busy", after: 9 * time.Minute}
		n, stop := running(t, func(_ *receiver, req request) error {
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
		time.Sleep(maxAge + time.Hour)
		for range 3 * maxQueue {
			send("x")
			time.Sleep(time.Second)
		}
		send("last")
		answer = nil
		time.Sleep(time.Hour)
		if len(got) != maxQueue || got[maxQueue-1] != "last" || got[0] != "x" {
			t.Errorf("got %d: %v", len(got), got)
		}
		answer = &refusal{text: "bad request", final: true}
		send("refused")
		time.Sleep(time.Minute)
		answer = nil
		send("next")
		time.Sleep(time.Minute)
		if got[len(got)-1] != "next" || len(got) != maxQueue+1 {
			t.Errorf("at last %v", got[maxQueue:])
		}
		stop()
	})
}

func TestWaitingMessagesAreTriedOnceMoreAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var answer error = errors.New("down")
		got := 0
		n, stop := running(t, func(*receiver, request) error {
			if answer == nil {
				got++
			}
			return answer
		}, "https://h/a")
		for range 3 {
			m := message(Firing)
			m.At = time.Now()
			n.Notify(m)
			time.Sleep(20 * time.Second)
		}
		answer = nil
		stop()
		if got != 3 {
			t.Errorf("%d of 3 arrive", got)
		}
	})
}

func TestTheDeadMansPingEndsWithTheEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pings := 0
		n, stop := running(t, func(_ *receiver, req request) error {
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
				time.Sleep(15 * time.Second)
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
		time.Sleep(10 * time.Minute)
		if pings > 3 {
			t.Errorf("%d pings while nothing is evaluated", pings)
		}
		stop()
	})
}

func TestAnAlertmanagerLearnsWhatIsCurrent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		n, stop := running(t, func(_ *receiver, req request) error {
			got = append(got, string(req.body))
			return nil
		}, "alertmanager+http://h:9093/am")
		a := message(Firing).New[0]
		for range 20 { // five minutes
			n.Current([]rhumb.Alert{a}, nil)
			time.Sleep(15 * time.Second)
		}
		if len(got) < 5 || len(got) > 7 {
			t.Errorf("%d reports in five minutes", len(got))
		}
		if !strings.Contains(got[0], `"alertname":"HighLatency"`) || strings.Contains(got[0], `"9`) ||
			!strings.Contains(got[0], `"severity":"critical"`) ||
			!strings.Contains(got[0], `"startsAt":"2026-11-27T03:07:00Z"`) {
			t.Errorf("it gets %s", got[0])
		}
		time.Sleep(10 * time.Second)
		before := len(got)
		a.State, a.Resolved = rhumb.AlertResolved, a.Since.Add(time.Minute)
		n.Current(nil, []rhumb.Alert{a})
		time.Sleep(time.Second)
		if len(got) != before+1 || !strings.Contains(got[before], `"endsAt":"2026-11-27T03:08:00Z"`) {
			t.Errorf("at the end it gets %v", got[before:])
		}
		stop()
	})
}
