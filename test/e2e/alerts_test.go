package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// inbox takes the messages of a webhook.
type inbox struct {
	server *httptest.Server

	mu   sync.Mutex
	text []string
}

func newInbox(t *testing.T) *inbox {
	t.Helper()
	b := &inbox{}
	b.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var m json.RawMessage
		if json.NewDecoder(r.Body).Decode(&m) == nil {
			b.mu.Lock()
			b.text = append(b.text, string(m))
			b.mu.Unlock()
		}
	}))
	t.Cleanup(b.server.Close)
	return b
}

// have waits until a message has all the words.
func (b *inbox) have(t *testing.T, words ...string) {
	t.Helper()
	eventually(t, 3*time.Minute, fmt.Sprintf("a message with %q", words), func() error {
		b.mu.Lock()
		defer b.mu.Unlock()
	next:
		for _, text := range b.text {
			for _, w := range words {
				if !strings.Contains(text, w) {
					continue next
				}
			}
			return nil
		}
		return fmt.Errorf("none among %q", b.text)
	})
}

const alerting = `
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V:-1}", STATUS: "${STATUS:-200}"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    x-rhumb:
      ready: {http: /health, port: 8000}
      alerts:
        Failing: {when: errors > 20%, severity: critical}
`

func TestAnAlertIsSentOnceAndThenItsEnd(t *testing.T) {
	t.Parallel()
	needDocker(t)
	box := newInbox(t)
	s := measuredServer(t, "--alert-to", box.server.URL)
	k := newStack(t, s, alerting)
	k.must(0, "deploy")
	if r := s.rhumb("", "alerts", "test"); r.code != 0 {
		t.Errorf("alerts test exits with %d: %s", r.code, r.out)
	}
	box.have(t, "test")
	k.env = []string{"STATUS=500", "V=2"}
	k.must(0, "deploy")
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20})
	box.have(t, "Failing", k.name, "firing")
	if r := s.rhumb("", "alerts", k.name); r.code != 0 || !strings.Contains(r.out, "Failing") {
		t.Errorf("alerts exits with %d: %s", r.code, r.out)
	}
	k.env = nil
	k.must(0, "deploy")
	box.have(t, "Failing", k.name, "resolved")
	l.end()
	box.mu.Lock()
	defer box.mu.Unlock()
	fired := 0
	for _, text := range box.text {
		if strings.Contains(text, "Failing") && strings.Contains(text, "firing") {
			fired++
		}
	}
	if fired != 1 {
		t.Errorf("%d messages of one incident: %q", fired, box.text)
	}
}

func TestADashboardNeedsItsKey(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := measuredServer(t)
	k := newStack(t, s, alerting)
	k.must(0, "deploy")
	r := s.rhumb("", "dashboard", "--print")
	if r.code != 0 || !strings.Contains(r.out, fmt.Sprintf("127.0.0.1:%d", s.dashboard)) {
		t.Fatalf("dashboard exits with %d: %s", r.code, r.out)
	}
	link := strings.Fields(r.out[strings.Index(r.out, "http://"):])[0]
	if code, text := get(t, fmt.Sprintf("http://127.0.0.1:%d/stacks", s.dashboard)); code < 400 ||
		strings.Contains(text, k.name) {
		t.Errorf("without the key: %d, %.200s", code, text)
	}
	cookies, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	jar := &http.Client{Timeout: 20 * time.Second, Jar: cookies}
	resp, err := jar.Get(link)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	for page, words := range map[string]string{
		"/stacks": k.name, "/stacks/" + k.name: "web", "/stacks/" + k.name + "/deployments/1": "converged",
		"/logs?stack=" + k.name: "web", "/metrics?stack=" + k.name: "svg", "/nodes": k.name, "/alerts": "Alerts",
		"/why?stack=" + k.name: "Why", "/certificates": "Certificates", "/events": k.name,
	} {
		resp, err := jar.Get(fmt.Sprintf("http://127.0.0.1:%d%s", s.dashboard, page))
		if err != nil {
			t.Error(err)
			continue
		}
		text := bodyOf(resp)
		if resp.StatusCode != http.StatusOK || !strings.Contains(text, words) || len(text) > 100<<10 {
			t.Errorf("%s: %s, %d bytes without %q", page, resp.Status, len(text), words)
		}
	}
	other := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/stacks", s.dashboard), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = net.JoinHostPort("evil.example", "80") // a page of another site whose name leads to this machine
	resp, err = other.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode < 400 {
		t.Errorf("under another host: %s", resp.Status)
	}
}
