package proxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/linelog"
	"rhumb/proxy"
)

// accessLog keeps the lines of requests.
type accessLog struct {
	mu    sync.Mutex
	lines []map[string]any
}

func (l *accessLog) Write(b []byte) (int, error) {
	var line map[string]any
	if err := json.Unmarshal(b, &line); err != nil || bytes.ContainsRune(b, '\n') {
		line = map[string]any{"broken": string(b)}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return len(b), nil
}

// take returns the one line that there is, and removes it.
func (l *accessLog) take(t *testing.T) map[string]any {
	t.Helper()
	var line map[string]any
	eventually(t, "there is one line", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.lines) > 1 {
			t.Fatalf("several lines: %v", l.lines)
		}
		if len(l.lines) == 1 {
			line, l.lines = l.lines[0], nil
		}
		return line != nil
	})
	return line
}

func (l *accessLog) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.lines)
}

// logged returns a table of one backend whose requests are logged.
func logged(version uint64, addr netip.AddrPort, es ...rhumb.Endpoint) rhumb.Table {
	t := one(version, addr, rhumb.HTTP, 0, es...)
	t.Backends[0].AccessLog = true
	return t
}

// wantLine fails unless a line has these members. A nil member must be missing.
func wantLine(t *testing.T, line, want map[string]any) {
	t.Helper()
	for name, v := range want {
		if line[name] != v {
			t.Errorf("%s is %v, want %v, in %v", name, line[name], v, line)
		}
	}
}

func TestEachRequestOfALoggedBackendIsALine(t *testing.T) {
	l, addr := &accessLog{}, freeAddr(t)
	e := web(t, "shop-web.3.1", func(w http.ResponseWriter, r *http.Request) {
		status := 200
		_, _ = fmt.Sscan(strings.TrimPrefix(r.URL.Path, "/"), &status)
		w.Header().Set("X-Request-Id", "of-the-replica")
		w.WriteHeader(status)
		fmt.Fprint(w, "hello")
	})
	e.Release = 3
	p := start(t, proxy.Options{Access: l})
	apply(t, p, logged(1, addr, e))
	get(t, fmt.Sprintf("http://%s/cart?a=1&b=\"", addr))
	line := l.take(t)
	wantLine(t, line, map[string]any{"level": "info", "method": "GET", "host": addr.String(), "path": `/cart?a=1&b="`,
		"proto": "HTTP/1.1", "status": 200.0, "bytes": 5.0, "client": "127.0.0.1", "user_agent": "Go-http-client/1.1",
		"request_id": "of-the-replica", "stack": "shop", "service": "web", "release": 3.0, "replica": "shop-web.3.1",
		"referer": nil, "error": nil})
	if d, ok := line["duration"].(float64); !ok || d <= 0 || d > 10 {
		t.Errorf("the duration is %v", line["duration"])
	}
	get(t, fmt.Sprintf("http://%s/404", addr))
	wantLine(t, l.take(t), map[string]any{"level": "warn", "status": 404.0, "replica": "shop-web.3.1", "error": nil})
	get(t, fmt.Sprintf("http://%s/500", addr))
	wantLine(t, l.take(t), map[string]any{"level": "error", "status": 500.0, "error": nil})
	apply(t, p, logged(2, addr, endpoint("dead", freeAddr(t).String())))
	status, _ := get(t, fmt.Sprintf("http://%s/", addr))
	wantLine(t, l.take(t), map[string]any{"level": "error", "status": float64(status), "replica": nil,
		"error": "shop did not answer"})
	apply(t, p, one(3, addr, rhumb.HTTP, 0, e))
	get(t, fmt.Sprintf("http://%s/", addr))
	if n := l.count(); n != 0 {
		t.Errorf("%d lines of a backend that isn't logged", n)
	}
}

func TestARequestWhoseClientLeavesHasTheStatus499(t *testing.T) {
	l, addr := &accessLog{}, freeAddr(t)
	begun := make(chan struct{}, 1)
	e := web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/part" {
			fmt.Fprint(w, "part")
			_ = http.NewResponseController(w).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
	})
	// the end of a client's side is held back for half of this time
	o := proxy.Options{Access: l, Limits: proxy.Limits{ProgressTime: 200 * time.Millisecond}}
	apply(t, start(t, o), logged(1, addr, e))
	for path, want := range map[string]map[string]any{
		"/":     {"status": 499.0, "level": "warn", "bytes": 0.0, "error": "the client left before an answer began"},
		"/part": {"status": 200.0, "bytes": 4.0, "error": "the client left before the answer's end"},
	} {
		ctx, leave := context.WithCancel(t.Context())
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr.String()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		var client sync.WaitGroup
		client.Go(func() {
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				return
			}
			defer resp.Body.Close()
			_, _ = io.ReadFull(resp.Body, make([]byte, 4))
			leave()
		})
		<-begun
		if path == "/" {
			leave()
		}
		client.Wait()
		wantLine(t, l.take(t), want)
	}
}

func TestAnUpgradedConnectionIsALineAtItsEnd(t *testing.T) {
	l, addr := &accessLog{}, freeAddr(t)
	e := web(t, "a", func(w http.ResponseWriter, _ *http.Request) {
		c, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		_, _ = io.Copy(c, rw)
	})
	apply(t, start(t, proxy.Options{Access: l}), logged(1, addr, e))
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /chat HTTP/1.1\r\nHost: shop.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	head, hello := make([]byte, 1000), make([]byte, 5)
	n, err := c.Read(head)
	if err != nil || !strings.HasPrefix(string(head[:n]), "HTTP/1.1 101") {
		t.Fatalf("%q, %v", head[:n], err)
	}
	fmt.Fprint(c, "hello")
	if _, err := io.ReadFull(c, hello); err != nil {
		t.Fatal(err)
	}
	if n := l.count(); n != 0 {
		t.Errorf("%d lines before its end", n)
	}
	c.Close()
	wantLine(t, l.take(t), map[string]any{"status": 101.0, "level": "info", "bytes": 5.0, "path": "/chat", "replica": "a",
		"error": nil})
}

// BenchmarkAccessLog measures what the lines of requests cost the proxy.
func BenchmarkAccessLog(b *testing.B) {
	e := web(b, "a", nil)
	for _, on := range []bool{false, true} {
		b.Run(fmt.Sprintf("on=%v", on), func(b *testing.B) {
			f := linelog.New(filepath.Join(b.TempDir(), "access.log"), linelog.Options{})
			ctx, cancel := context.WithCancel(b.Context())
			var work sync.WaitGroup
			work.Go(func() { f.Run(ctx, slog.New(slog.DiscardHandler)) })
			defer work.Wait()
			defer cancel()
			addr := freeAddr(b)
			table := one(1, addr, rhumb.HTTP, 0, e)
			table.Backends[0].AccessLog = on
			apply(b, start(b, proxy.Options{Access: f}), table)
			tr := &http.Transport{MaxIdleConnsPerHost: 64}
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr}
			var took []time.Duration
			for b.Loop() {
				begun := time.Now()
				r, err := client.Get("http://" + addr.String() + "/cart/7?ref=mail")
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, r.Body)
				r.Body.Close()
				took = append(took, time.Since(begun))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds()), "p50_ns")
		})
	}
}
