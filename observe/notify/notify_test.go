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
	if path != "/hook" || h.Get("Content-Type") != "application/json" ||
		!strings.HasPrefix(h.Get("Authorization"), "Basic ") {
		t.Errorf("path %s, headers %v", path, h)
	}
	for name, want := range map[string]any{"version": 1., "kind": "firing", "incident": "shop-1", "severity": "critical",
		"host": "host1", "stack": "shop", "release": 42., "link": "http://127.0.0.1:7484", "at": "2026-11-27T03:12:00Z"} {
		if body[name] != want {
			t.Errorf("%s is %v", name, body[name])
		}
	}
	first, _ := body["new"].([]any)[0].(map[string]any)
	if len(body["firing"].([]any)) != 1 || first["rule"] != "HighLatency" || first["value"] != 3. ||
		first["service"] != "web" {
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
	for status, final := range map[int]bool{500: false, 503: false, 429: false, 408: false, 400: true, 404: true,
		301: true} {
		w := serve(t, status)
		r := of(t, w.URL+"/SECRET123")
		err := r.try(t.Context(), r.render(message(Firing)))
		var refused *refusal
		if !errors.As(err, &refused) || refused.final != final ||
			!strings.Contains(r.status().LastError, http.StatusText(status)) ||
			r.status().ErrorAt.IsZero() || !r.status().Sent.IsZero() {
			t.Errorf("%d: %v, %+v", status, err, r.status())
		}
	}
	loop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://"+r.Host+"/other"+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	defer loop.Close()
	r := of(t, loop.URL+"/SECRET123")
	if err := r.try(t.Context(), r.render(message(Firing))); err == nil ||
		strings.Contains(r.status().LastError, "SECRET123") {
		t.Errorf("redirected: %v, %+v", err, r.status())
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	r = of(t, "http://"+ln.Addr().String()+"/SECRET123?x=SECRET456")
	if err := r.try(t.Context(), r.render(message(Firing))); err == nil ||
		strings.Contains(r.status().LastError, "SECRET") {
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
