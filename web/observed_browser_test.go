package web

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rhumb"
)

// reaches waits until an expression is true in the page that the browser is on its way to.
func (b *browser) reaches(js string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	for {
		_, err := chromedp.Run(ctx, chromedp.Poll[any](js))
		if err == nil {
			return
		} else if ctx.Err() != nil {
			b.t.Fatalf("%s: %v", js, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func TestNewLinesAppearInTheBrowserUntilPaused(t *testing.T) {
	w := observedWorld()
	s := newServer(w.deps(), time.Now)
	b := browse(t, s)
	line := func(text string) {
		w.append([]rhumb.LogLine{{Time: time.Now(), Stack: "shop", Service: "api", Replica: "shop-api.42.1", Release: 42,
			Container: "abc", Text: text}})
	}
	b.open("/logs?stack=shop&live=1")
	b.until(`document.getElementById("tailstate").textContent === "live"`)
	line("first <b>line</b>")
	b.until(`document.getElementById("lines").textContent.includes("first <b>line</b>")`)
	b.do(chromedp.Click("#pause"))
	line("while paused")
	b.until(`document.getElementById("tailstate").textContent.includes("new lines wait")`)
	if eval[bool](b, `document.getElementById("lines").textContent.includes("while paused")`) {
		t.Error("a line appeared while the page was paused")
	}
	b.do(chromedp.Click("#pause"))
	b.until(`document.getElementById("lines").textContent.includes("while paused")`)
	for i := range 1200 {
		line(fmt.Sprintf("many %d", i))
	}
	b.until(`document.getElementById("lines").textContent.includes("many 1199")`)
	if n := eval[int](b, `document.getElementById("lines").childElementCount`); n > 1000 {
		t.Errorf("the page keeps %d lines, want at most 1000", n)
	}
	b.clean()
}

func TestADragOverAChartZooms(t *testing.T) {
	b := browse(t, observedWorld().server())
	b.look(1280, "light")
	for _, path := range []string{"/metrics?stack=shop&range=1h", "/logs?stack=shop&range=1h"} {
		b.open(path)
		eval[bool](b, `(() => {
			const svg = document.querySelector("svg.chart"), box = svg.getBoundingClientRect();
			const at = (kind, share) => svg.dispatchEvent(new PointerEvent(kind, { bubbles: true, button: 0, cancelable: true,
				clientX: box.left + box.width * share, clientY: box.top + 40 }));
			at("pointerdown", 0.5); at("pointermove", 0.6); at("pointerup", 0.75);
			return true;
		})()`)
		b.reaches(`new URLSearchParams(location.search).has("from")`)
		length := eval[int](b, `(() => {
			const p = new URLSearchParams(location.search);
			return p.get("to") - p.get("from");
		})()`)
		if length < 880 || length > 960 || eval[bool](b, `location.search.includes("range")`) {
			t.Errorf("%s: zoomed to %d seconds: %s", path, length, eval[string](b, "location.search"))
		}
		b.reaches(`document.querySelector("h1") !== null`)
	}
	b.clean()
}

func TestLogsAreSearchedWithTheKeyboardOnly(t *testing.T) {
	b := browse(t, observedWorld().server())
	b.open("/logs?stack=shop")
	b.do(chromedp.Focus(`input[name=q]`), chromedp.KeyEvent("slow query\r"))
	b.reaches(`location.search.includes("q=slow")`)
	b.reaches(`document.querySelectorAll("#lines mark").length === 24`)
	b.do(chromedp.Focus(`select[name=level]`), chromedp.KeyEvent("e"))
	b.reaches(`location.search.includes("level=error")`)
	b.reaches(`document.body.textContent.includes("No line matches")`)
	b.clean()
}

func TestAnAlertIsSilencedByClicks(t *testing.T) {
	w := observedWorld()
	b := browse(t, w.server())
	b.open("/alerts")
	b.do(chromedp.Click(`a[href^="/alerts/silence?rule=HighLatency"]`))
	b.reaches(`document.querySelector("input[name=rule]").value === "HighLatency"`)
	b.do(chromedp.Focus("input[name=why]"), chromedp.KeyEvent("known\r"))
	b.reaches(`location.pathname === "/alerts" && document.getElementById("silences").textContent.includes("known")`)
	b.do(chromedp.Click(`#silences button`))
	b.reaches(`!document.getElementById("silences").textContent.includes("registrar")`)
	b.clean()
}

func TestAPointerOverAChartShowsValues(t *testing.T) {
	b := browse(t, observedWorld().server())
	b.look(1280, "light")
	b.open("/metrics?stack=shop&range=1h")
	text := eval[string](b, `(() => {
		const svg = document.querySelectorAll("svg.chart")[0], box = svg.getBoundingClientRect();
		svg.dispatchEvent(new PointerEvent("pointermove", { bubbles: true, pointerType: "mouse",
			clientX: box.left + box.width / 4, clientY: box.top + 40 }));
		return document.querySelector(".tip").textContent;
	})()`)
	if !regexp.MustCompile(`^11:1[45]:\d\drelease 41 [34]\d(\.\d)?/s$`).MatchString(text) {
		t.Errorf("the values are %q", text)
	}
	b.shoot("metrics-pointer")
	b.clean()
}
