package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestLogsShowLinesAndWhatFoundThem(t *testing.T) {
	s := observedWorld().server()
	contains(t, get(t, s, "/logs?stack=shop&q=SLOW+query"), 200, "<mark>slow query</mark>", "24", "api.42.1",
		"warnings <b>24</b>", "/logs/context?")
	rec := get(t, s, "/logs?stack=shop&q=cart+%5B0-9%5D%2B&how=regexp&level=error")
	contains(t, rec, 200, "<mark>cart 8812</mark>", "15 more lines", "error and above")
	lacks(t, rec, "slow query", "GET /items")
	contains(t, get(t, s, "/logs?stack=shop&service=worker"), 200, "DEBUG task digest.enqueue")
	lacks(t, get(t, s, "/logs?stack=shop&service=worker&release=41"), "worker.42")
}

func TestTheFirstLineOfAReleaseHasARule(t *testing.T) {
	rec := get(t, observedWorld().server(), "/logs?stack=shop&service=web&from=2026-11-28T11:30:00Z")
	if n := strings.Count(rec.Body.String(), "release 42 of web"); n != 1 {
		t.Errorf("%d rules, want 1", n)
	}
}

func TestHistogramsHaveDeploymentsAndErrors(t *testing.T) {
	rec := get(t, observedWorld().server(), "/logs?stack=shop")
	contains(t, rec, 200, `<g class="mark">`, "converged: shop@42 serves", "errors <b>5</b>",
		"warnings <b>24</b>", "others <b>691</b>")
}

func TestOlderLinesAreBehindALink(t *testing.T) {
	s := observedWorld().server()
	address, seen := "/logs?stack=shop", 0
	for range 4 {
		body := get(t, s, address).Body.String()
		seen += strings.Count(body, `class="t"`)
		_, rest, more := strings.Cut(body, `<a class="btn small" href="`)
		for more && !strings.Contains(rest[:strings.Index(rest, "<")], "Older lines") {
			_, rest, more = strings.Cut(rest, `<a class="btn small" href="`)
		}
		if !more {
			break
		}
		address = strings.ReplaceAll(rest[:strings.Index(rest, `"`)], "&amp;", "&")
	}
	if seen != 720 {
		t.Errorf("%d lines in all pages, want each of 720 once", seen)
	}
}

func TestSearchesThatCannotBeReadSayWhy(t *testing.T) {
	s := observedWorld().server()
	contains(t, get(t, s, "/logs?q=%28&how=regexp"), 200, "can&#39;t be read", "put a backslash")
	contains(t, get(t, s, "/logs?q=%7C%7C&how=logsql"), 200, "can&#39;t be read")
	contains(t, get(t, s, "/logs?level=loud"), 400, "is not a level")
	contains(t, get(t, s, "/logs?release=x"), 400, "is not the number of a release")
	contains(t, get(t, s, "/logs?q="+strings.Repeat("x", maxSearch+1)), 400, "longer than")
}

func TestLogsWithoutLinesSayWhatToDo(t *testing.T) {
	contains(t, get(t, shopWorld().server(), "/logs?stack=shop"), 200, "Nothing was written", "Twice the time")
	contains(t, get(t, observedWorld().server(), "/logs?stack=shop&q=nowhere"), 200, "No line matches", "All lines")
	contains(t, get(t, deafWorld().server(), "/logs"), 200, "The lines can't be read now", "journalctl")
	w := observedAway()
	contains(t, get(t, w.server(), "/logs?stack=shop"), 200, "The daemon doesn't answer", "slow query")
}

func TestLinesAreHostileText(t *testing.T) {
	w := evilWorld()
	context := "/logs/context?stack=evil&c=" + url.QueryEscape(evil[:12]) + "&at=" + contextTime(noon.Add(-20*time.Second))
	for _, path := range []string{"/logs?stack=evil", "/logs?q=%3Cscript", context, "/metrics",
		"/alerts", "/why?ask=1", "/nodes"} {
		rec := get(t, w.server(), path)
		contains(t, rec, 200)
		lacks(t, rec, "<script>alert", "<img", "\x1b", "\u202e", "\x00")
		if n := rec.Body.Len(); n > 100<<10 {
			t.Errorf("%s has %d bytes", path, n)
		}
	}
	contains(t, get(t, w.server(), "/logs?stack=evil"), 200, `\u202e`, "&lt;script&gt;", "70 kB more", "498 more lines")
}

func contextTime(at time.Time) string {
	l := rhumb.LogLine{Time: at}
	u, _ := url.Parse(contextOf(&l))
	return u.Query().Get("at")
}

func TestTheContextOfALineIsOfItsWriter(t *testing.T) {
	rec := get(t, observedWorld().server(), observedContext)
	contains(t, rec, 200, `class="ln here"`)
	if n := strings.Count(rec.Body.String(), `class="t"`); n != 2*contextLines { // 60 before it, and the 59 that are left
		t.Errorf("%d lines", n)
	}
	s := observedWorld().server()
	contains(t, get(t, s, "/logs/context?at=zz&stack=shop&c=abc"), 200, "Nothing is left of this time")
	contains(t, get(t, s, "/logs/context?at=!"), 400, "names no line")
}

func TestLogsAreDownloadedAsText(t *testing.T) {
	s := observedWorld().server()
	rec := get(t, s, "/logs/download?stack=shop&service=worker")
	contains(t, rec, 200, "shop/worker.41.2 DEBUG DEBUG task digest.enqueue done")
	calm(t, rec.Header())
	if h := rec.Header(); !strings.HasPrefix(h.Get("Content-Type"), "text/plain") ||
		h.Get("Content-Disposition") != `attachment; filename="logs-shop-20261128-110000.txt"` {
		t.Errorf("headers %v", h)
	}
	contains(t, get(t, s, "/logs/download?stack=shop&q=nowhere"), 404, "no such lines")
	contains(t, get(t, deafWorld().server(), "/logs/download"), 503, "doesn&#39;t answer")
	lacks(t, get(t, evilWorld().server(), "/logs/download?stack=evil"), "\x1b", "\x00", "\u202e")
}

func TestNewLinesAreSentToLivePages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := observedWorld()
		s := w.server()
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan lineBatch, 10)
		ended := make(chan error, 1)
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "/logs/live?stack=shop&q=new&from="+rfc(noon), nil)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			ended <- tailLogs(s, r, func(event string, data any) error {
				got <- data.(lineBatch)
				return nil
			})
		}()
		synctest.Wait()
		for i := range liveLines + 50 {
			w.append([]rhumb.LogLine{{Time: noon.Add(time.Duration(i) * time.Millisecond), Stack: "shop", Service: "api",
				Text: fmt.Sprintf("new <b>%d</b>", i)}, {Time: noon, Stack: "shop", Text: "other"}})
		}
		var batch lineBatch
		select {
		case batch = <-got:
		case err := <-ended:
			t.Fatal(err)
		}
		if batch.Skipped != 50 || strings.Count(batch.HTML, `class="ln`) != liveLines || strings.Contains(batch.HTML, "<b>") {
			t.Errorf("skipped %d, of %d bytes", batch.Skipped, len(batch.HTML))
		}
		if want := after(noon.Add((liveLines + 49) * time.Millisecond)); batch.Next != want {
			t.Errorf("goes on at %s, want %s", batch.Next, want)
		}
		cancel()
		if err := <-ended; err == nil {
			t.Error("the stream ended without its context's error")
		}
	})
}

func TestLivePagesNameTheirStream(t *testing.T) {
	s := observedWorld().server()
	rec := get(t, s, "/logs?stack=shop&q=x&live=1")
	contains(t, rec, 200, `data-tail="/logs/live?`, "q=x", "Stop")
	lacks(t, get(t, s, "/logs?stack=shop"), "data-tail")
	bad := get(t, s, "/logs/live?level=loud")
	contains(t, bad, 200, "event: failed")
	var problem string
	_, data, _ := strings.Cut(bad.Body.String(), "event: failed\ndata: ")
	if err := json.Unmarshal([]byte(strings.TrimSpace(data)), &problem); err != nil || problem == "" {
		t.Errorf("%q: %v", data, err)
	}
}
