package web

import (
	"strings"
	"testing"

	"rhumb"
)

func TestWhyNamesTheCauseFirstAndOnce(t *testing.T) {
	rec := get(t, observedWorld().server(), "/why?stack=shop&ask=1")
	cause := "release 42 of shop began to serve (image of api, environment DB_POOL)"
	contains(t, rec, 200, "<h2><bdi>"+cause, "p95 of api: 38 ms before, 840 ms since 11:37", `class="line new"`,
		"requests to web rose", "the likeliest cause, above", "the kernel killed shop-worker.42.2",
		"the log lines of blog could not be read", "logs of that time")
	body := rec.Body.String()
	if n := strings.Count(body, "<bdi>"+cause); n != 1 {
		t.Errorf("the cause is written %d times", n)
	}
	if strings.Index(body, cause) > strings.Index(body, "What happened") {
		t.Error("what happened stands before the cause")
	}
}

func TestWhyAsksOnlyWhenItIsAsked(t *testing.T) {
	rec := get(t, deafWorld().server(), "/why")
	contains(t, rec, 200, "When did it begin?")
	contains(t, get(t, deafWorld().server(), "/why?ask=1"), 200, "Not available now", "journalctl")
	contains(t, get(t, newWorld().server(), "/why?stack=blog&ask=1"), 200, "Nothing unusual",
		"Nothing was changed, and nothing broke")
}

func TestEvidenceIsShownWithoutItsChart(t *testing.T) {
	w := observedWorld()
	w.noMetrics = rhumb.Errorf(rhumb.Unavailable, "no metrics")
	contains(t, get(t, w.server(), "/why?stack=shop&ask=1"), 200, "840 ms since 11:37", "no metrics")
}
