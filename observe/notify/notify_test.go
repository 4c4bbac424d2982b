package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// hostile is a text that a stranger may have written.
const hostile = "<!everyone> @everyone **[a](http://b)** \x1b[31m\r\nBcc: x@y.z\r\n\r\n\u202e<script>&`"

// message is about an alert with a hostile text.
func message(kind Kind) Message {
	at := time.Date(2026, 11, 27, 3, 12, 0, 0, time.UTC)
	a := rhumb.Alert{ID: "1a", Rule: "HighLatency", Severity: rhumb.SeverityCritical, State: rhumb.AlertFiring,
		Since: at.Add(-5 * time.Minute), Fired: at, Stack: "shop", Service: "web", Text: "web: " + hostile, Value: 3,
		Labels: map[string]string{"stack": "shop", "service": "web", "9.x": hostile}}
	over := a
	over.State, over.Resolved = rhumb.AlertResolved, at
	m := Message{Kind: kind, Incident: "shop-1", Stack: "shop", At: at, Release: 42,
		Deployment: "deployment 7 by ada, ended 3m ago: converged: shop@42 serves", Link: "http://127.0.0.1:7484"}
	switch kind {
	case Resolved:
		m.Resolved = []rhumb.Alert{over}
	case Still:
		m.Firing = []rhumb.Alert{a}
	case Firing:
		m.New = []rhumb.Alert{a, a}
		m.Firing = []rhumb.Alert{a}
		m.Resolved = []rhumb.Alert{over}
	}
	return m
}

func TestAMessageSaysAllThatItMust(t *testing.T) {
	m := message(Firing)
	if got := m.title("host1"); !strings.HasPrefix(got, "Alert: shop on host1: web: <!everyone>") ||
		!strings.HasSuffix(got, "(and 1 more)") || strings.ContainsAny(got, "\r\n\x1b\u202e") {
		t.Errorf("the title is %q", got)
	}
	body := m.body(plain)
	for _, want := range []string{
		"[critical] web: <!everyone>", "(HighLatency, since 03:07:00 UTC, 5m)\n", "\nAlso firing:\n- [critical] web:",
		"\nNo longer firing:\n- [critical] web:", "\nServing: shop@42\n",
		"\nLast deployment: deployment 7 by ada, ended 3m ago: converged: shop@42 serves\n",
		"\nSilence: rhumb alerts silence --rule HighLatency --stack shop --service web 2h\n",
		"\nLook: http://127.0.0.1:7484",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("%q isn't in\n%s", want, body)
		}
	}
	if strings.ContainsAny(body, "\r\x1b\u202e") {
		t.Errorf("the body is %q", body)
	}
	over := message(Resolved)
	if got := over.title(""); !strings.HasPrefix(got, "Resolved: shop: web:") {
		t.Errorf("the title is %q", got)
	}
	if got := over.body(plain); !strings.Contains(got, "(HighLatency, for 5m)") || strings.Contains(got, "Silence:") {
		t.Errorf("the body is %q", got)
	}
	long := message(Firing)
	for range 200 {
		long.New = append(long.New, long.New[0])
	}
	if n := len(long.body(plain)); n > maxBody+100 {
		t.Errorf("%d bytes", n)
	}
	if got := silence(rhumb.Alert{Rule: "a b", Service: "x'; rm -rf /"}); got !=
		`rhumb alerts silence --rule 'a b' --service 'x'\''; rm -rf /' 2h` {
		t.Errorf("the command is %s", got)
	}
}

// web is a server that keeps what it gets.
type web struct {
	*httptest.Server
	mu      sync.Mutex
	bodies  []string
	paths   []string
	headers []http.Header
}

func serve(t *testing.T, status int) *web {
	w := &web{}
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.mu.Lock()
		w.bodies, w.paths = append(w.bodies, string(b)), append(w.paths, r.URL.Path)
		w.headers = append(w.headers, r.Header)
		w.mu.Unlock()
		rw.WriteHeader(status)
	}))
	t.Cleanup(w.Close)
	return w
}

// sent returns the body and path of what a receiver posts for a message.
func sent(t *testing.T, scheme, path string, m Message) (body map[string]any, at string, h http.Header) {
	t.Helper()
	w := serve(t, 200)
	e, err := parse(scheme + "://me:pass1234@" + strings.TrimPrefix(w.URL, "http://") + path)
	if err != nil {
		t.Fatal(err)
	}
	r := newReceiver(e, "host1", slog.New(slog.DiscardHandler))
	if err := r.try(t.Context(), r.render(m)); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(w.bodies[0]), &body); err != nil {
		t.Fatal(err)
	}
	return body, w.paths[0], w.headers[0]
}

func TestAWebhookGetsTheDocumentedJSON(t *testing.T) {
	body, path, h := sent(t, "http", "/hook", message(Firing))
	if path != "/hook" || h.Get("Content-Type") != "application/json" || !strings.HasPrefix(h.Get("Authorization"), "Basic ") {
		t.Errorf("path %s, headers %v", path, h)
	}
	for name, want := range map[string]any{"version": 1., "kind": "firing", "incident": "shop-1", "severity": "critical",
		"host": "host1", "stack": "shop", "release": 42., "link": "http://127.0.0.1:7484", "at": "2026-11-27T03:12:00Z"} {
		if body[name] != want {
			t.Errorf("%s is %v", name, body[name])
		}
	}
	first, _ := body["new"].([]any)[0].(map[string]any)
	if len(body["firing"].([]any)) != 1 || first["rule"] != "HighLatency" || first["value"] != 3. || first["service"] != "web" {
		t.Errorf("the alert is %v", first)
	}
}

func TestNtfyGetsNoHeadersFromStrangers(t *testing.T) {
	body, path, _ := sent(t, "ntfy+http", "/sub/topic1", message(Firing))
	if path != "/sub/" || body["topic"] != "topic1" || body["priority"] != 5. || body["click"] != "http://127.0.0.1:7484" {
		t.Errorf("at %s: %v", path, body)
	}
	body, path, _ = sent(t, "ntfy+http", "/topic1", message(Resolved))
	if path != "/" || body["priority"] != 3. {
		t.Errorf("at %s: %v", path, body)
	}
}

func TestChatsShowHostileTextAsText(t *testing.T) {
	b, _ := slack(message(Firing), "host1").(map[string]any)
	text, _ := b["text"].(string)
	if b["mrkdwn"] != false || strings.ContainsAny(text, "<>") || !strings.Contains(text, "&lt;!everyone&gt;") {
		t.Errorf("Slack gets %v", b)
	}
	b, _ = discord(message(Firing), "host1").(map[string]any)
	text, _ = b["content"].(string)
	if strings.Contains(text, "@everyone") && !strings.Contains(text, `\@everyone`) || strings.Contains(text, "](http") ||
		!strings.Contains(text, "\nLook: http://127.0.0.1:7484") {
		t.Errorf("Discord gets %s", text)
	}
	if parse, _ := b["allowed_mentions"].(map[string]any)["parse"].([]string); parse == nil || len(parse) != 0 {
		t.Errorf("Discord may mention %v", b["allowed_mentions"])
	}
	long := message(Firing)
	for range 99 {
		long.New = append(long.New, long.New[0])
	}
	b, _ = discord(long, "host1").(map[string]any)
	if n := len([]rune(b["content"].(string))); n > discordLimit {
		t.Errorf("%d letters", n)
	}
}

func TestAnswersOfReceiversAreUnderstood(t *testing.T) {
	for status, final := range map[int]bool{500: false, 503: false, 429: false, 408: false, 400: true, 404: true, 301: true} {
		w := serve(t, status)
		r := of(t, w.URL+"/SECRET123")
		err := r.try(t.Context(), r.render(message(Firing)))
		var refused *refusal
		if !errors.As(err, &refused) || refused.final != final || !strings.Contains(r.status().LastError, http.StatusText(status)) ||
			r.status().ErrorAt.IsZero() || !r.status().Sent.IsZero() {
			t.Errorf("%d: %v, %+v", status, err, r.status())
		}
	}
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/other"+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer loop.Close()
	r := of(t, loop.URL+"/SECRET123")
	if err := r.try(t.Context(), r.render(message(Firing))); err == nil || strings.Contains(r.status().LastError, "SECRET123") {
		t.Errorf("redirected: %v, %+v", err, r.status())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	r = of(t, "http://"+ln.Addr().String()+"/SECRET123?x=SECRET456")
	if err := r.try(t.Context(), r.render(message(Firing))); err == nil || strings.Contains(r.status().LastError, "SECRET") {
		t.Errorf("refused: %v, %+v", err, r.status())
	}
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(bytes.Repeat([]byte("x"), 10<<20))
	}))
	defer endless.Close()
	r = of(t, endless.URL)
	if err := r.try(t.Context(), r.render(message(Firing))); err != nil || r.status().Sent.IsZero() {
		t.Errorf("a long answer: %v", err)
	}
}

func TestAReceiverThatHangsIsLeftAfterAWhile(t *testing.T) {
	block := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-block }))
	defer hang.Close()
	defer close(block)
	n, err := New(Options{URLs: []string{hang.URL, serve(t, 200).URL}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	all := n.Test(ctx)
	if len(all) != 2 || !all[0].Sent.IsZero() || all[1].Sent.IsZero() {
		t.Errorf("they are %+v", all)
	}
}

// of returns the receiver of a URL.
func of(t *testing.T, raw string) *receiver {
	t.Helper()
	e, err := parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return newReceiver(e, "host1", slog.New(slog.DiscardHandler))
}

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
			!strings.Contains(got[0], `"severity":"critical"`) || !strings.Contains(got[0], `"startsAt":"2026-11-27T03:07:00Z"`) {
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
