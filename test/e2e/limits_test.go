package e2e

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// limitedStack is a service whose clients may send five requests, and then one an hour.
const limitedStack = `
services:
  web:
    image: rhumb-test/app:1
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    x-rhumb: {LIMITS}
`

// ask sends a request of a browser, and returns the answer.
func (k *stack) ask(browser string) *http.Response {
	k.t.Helper()
	r, err := http.NewRequestWithContext(k.t.Context(), "GET", k.url("/"), nil)
	if err != nil {
		k.t.Fatal(err)
	}
	r.Header.Set("User-Agent", browser)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // only the head counts
	return resp
}

// expect wants the next answer to have a status.
func (k *stack) expect(when string, status int) {
	k.t.Helper()
	if got := k.ask("browser").StatusCode; got != status {
		k.t.Errorf("%s: status %d, want %d", when, got, status)
	}
}

// Limits change without a new replica, and what they have counted outlives a change, a deployment and the daemon.
func TestLimitsHoldThroughChangesAndADeadDaemon(t *testing.T) {
	needDocker(t)
	s := newServer(t)
	limits := func(l string) string { return strings.Replace(limitedStack, "LIMITS", l, 1) }
	k := newStack(t, s, limits("limits: {rate: 1/h, burst: 4}"))
	k.must(0, "deploy")
	before := k.containers()
	for range 5 {
		k.expect("within the limit", 200)
	}
	h := k.ask("browser").Header
	if h.Get("Retry-After") != "3600" || h.Get("RateLimit") != `"client";r=0;t=3600` ||
		h.Get("RateLimit-Policy") != `"client";q=5;w=18000` {
		t.Errorf("the refusal has %v", h)
	}
	k.write("compose.yaml", limits("limits: {rate: 1/h, burst: 4, status: 503}"))
	k.must(0, "deploy")
	k.expect("after a change of the status", 503)
	if after := k.containers(); !slices.Equal(before, after) {
		t.Errorf("replicas were replaced: %v, then %v", before, after)
	}
	k.write("compose.yaml", limits("limits: {rate: 1/h, burst: 4, status: 503}")+"    environment: {RELEASE: two}\n")
	k.must(0, "deploy")
	k.expect("after a deployment", 503)
	s.kill()
	k.expect("without the daemon", 503)
	s.start()
	s.await()
	if out := k.must(0, "routes"); !strings.Contains(out, "1/h + 4") || !strings.Contains(out, "refuse since") {
		t.Errorf("routes shows no limits:\n%s", out)
	}
	if out := k.must(0, "events"); !strings.Contains(out, "limits refuse what clients send too much of") {
		t.Errorf("events says nothing of limits:\n%s", out)
	}
	k.sharesAnAddress()
	k.write("compose.yaml", limits("drain: 1s"))
	k.must(0, "deploy")
	if out := k.must(0, "routes"); strings.Contains(out, "LIMITS") {
		t.Errorf("limits that are gone are shown:\n%s", out)
	}
}

// sharesAnAddress has many browsers call from one private address, which limits by client then only observe.
func (k *stack) sharesAnAddress() {
	k.t.Helper()
	for i := range 40 {
		k.ask(fmt.Sprint("browser ", i))
	}
	k.expect("once nearly all clients share an address", 200)
	eventually(k.t, 10*time.Second, "rhumb routes says so", func() error {
		if out := k.must(0, "routes"); !strings.Contains(out, "only observe: nearly all clients come from 127.0.0.1") {
			return fmt.Errorf("%s", out)
		}
		return nil
	})
}
