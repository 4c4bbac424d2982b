package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rhumb"
)

// advance lets the open deployment of openWorld go on by an event.
func (w *world) advance(e rhumb.Event) {
	w.change(func() {
		e.ID, e.At, e.Stack, e.Deployment = int64(200+len(w.events)), noon, "shop", 813
		w.events = append(w.events, e)
	})
}

func TestADeploymentIsWatchedToItsEndAndRolledBackByClick(t *testing.T) {
	w := openWorld()
	b := browse(t, w.server())
	b.open("/stacks/shop")
	b.do(chromedp.Click(chromedp.CSS(`#stack-bands a[href="/stacks/shop/deployments/813"]`)))
	b.until(`document.querySelector("h1").innerText.includes("42 → 43")`)
	b.until(`document.getElementById("pulse").innerText.includes("live")`)
	w.advance(rhumb.Event{Kind: rhumb.EventReady, Service: "web", Slot: 2, Release: 43, Replica: "shop-web.43.2"})
	b.until(`document.getElementById("dep-steps").innerText.includes("web.43.2 is ready")`)
	w.advance(rhumb.Event{Kind: rhumb.EventStopped, Service: "web", Slot: 1, Release: 42, Replica: "shop-web.42.1"})
	b.until(`document.getElementById("dep-steps").innerText.includes("web.42.1 has stopped")`)
	w.change(func() {
		d := &w.deployed[0]
		if err := d.Move(rhumb.PhaseConverged, noon, ""); err != nil {
			t.Error(err)
		}
		w.stacks[1].Release = 43
		w.releases[0].Served, w.releases[0].Current, w.releases[1].Current = true, true, false
	})
	w.advance(rhumb.Event{Kind: rhumb.EventDeployment, Phase: rhumb.PhaseConverged, Text: "converged: shop@43 serves"})
	b.until(`document.getElementById("dep-verdict").innerText.includes("converged: shop@43 serves")`)
	b.until(`document.getElementById("pulse").innerText.includes("as it ended")`)
	b.shoot("watched-to-its-end")
	b.do(chromedp.Click(chromedp.CSS(`#dep-actions a[href*="rollback"]`)))
	b.until(`document.querySelector("h1").innerText === "Roll shop back to release 42?"`)
	b.do(chromedp.Click(chromedp.CSS(`main form[method=post] button`)))
	b.until(`location.pathname === "/stacks/shop/deployments/900"`)
	b.clean()
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.asked) != 1 || w.asked[0].Cause != rhumb.CauseRollback || w.asked[0].Release != 42 {
		t.Errorf("asked for %+v, want a rollback to 42", w.asked)
	}
}

func TestALinkInAMessageLeadsIntoTheDashboard(t *testing.T) {
	b := browse(t, shopWorld().server())
	message := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<link rel="icon" href="data:,"><a href="`+b.base+`/stacks/shop">shop</a>`)
	}))
	t.Cleanup(message.Close)
	b.do(chromedp.Navigate(strings.Replace(message.URL, "127.0.0.1", "localhost", 1)), // another site for browsers
		chromedp.Click(chromedp.CSS("a")))
	b.until(`location.pathname === "/stacks/shop" && document.body.innerText.includes("Release 42 serves")`)
	b.clean()
}

// tab presses Tab until the focus is on an element, and fails after a hundred times.
func (b *browser) tab(to string) {
	b.t.Helper()
	for range 100 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if eval[bool](b, `document.activeElement.matches(`+to+`)`) {
			return
		}
	}
	b.t.Fatalf("no Tab leads to %s", to)
}

func TestTheKeyboardAloneIsEnough(t *testing.T) {
	w := openWorld()
	b := browse(t, w.server())
	b.open("/stacks")
	b.do(chromedp.KeyEvent(kb.Tab))
	if !eval[bool](b, `document.activeElement.matches(".skip") && document.activeElement.offsetHeight > 20`) {
		t.Error("the first Tab doesn't show the link to the content")
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.tab(`'a[href="/stacks/shop"]'`)
	if !eval[bool](b, `getComputedStyle(document.activeElement).outlineStyle !== "none"`) {
		t.Error("the focus can't be seen")
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`location.pathname === "/stacks/shop"`)
	b.tab(`'a[href="/stacks/shop/deployments/813"]'`)
	w.advance(rhumb.Event{Kind: rhumb.EventReady, Service: "web", Slot: 2, Release: 43, Replica: "shop-web.43.2"})
	w.change(func() { w.stacks[1].Services[0].Slots[3].Status = "ready for 1s" })
	b.until(`document.getElementById("stack-replicas").innerText.includes("ready for 1s")`)
	if !eval[bool](b, `document.activeElement.matches('a[href="/stacks/shop/deployments/813"]')`) {
		t.Error("the focus was lost when the page changed")
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`location.pathname.endsWith("/813")`)
	b.tab(`'a[href$="/cancel"]'`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector("h1").innerText === "Cancel deployment 813?"`)
	b.tab(`'main form[method=post] button'`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.querySelector("h1").innerText.includes("putting back")`)
	b.clean()
}

func TestTheThemeIsChosenByAButtonAndKept(t *testing.T) {
	b := browse(t, shopWorld().server())
	b.look(1280, "light")
	b.open("/stacks")
	dark := `getComputedStyle(document.body).backgroundColor === "rgb(17, 19, 21)"`
	if eval[bool](b, dark) {
		t.Error("the page is dark although the system is light")
	}
	for _, theme := range []string{"light", "dark"} { // from the system's to light, and then to dark
		b.do(chromedp.Click(chromedp.CSS(`.theme button`)))
		b.until(`document.documentElement.dataset.theme === "` + theme + `"`)
	}
	b.open("/events")
	if !eval[bool](b, dark) {
		t.Error("the choice isn't kept")
	}
	b.clean()
}

func TestAPageSurvivesTheDaemonsAbsence(t *testing.T) {
	w := openWorld()
	b := browse(t, w.server())
	for path, text := range map[string]string{"/stacks/shop": "8 of 8", "/stacks/shop/deployments/813": "42 → 43"} {
		b.open(path)
		b.until(`document.getElementById("pulse").innerText.includes("live")`)
		w.change(func() { w.down = daemonAway })
		b.until(`document.body.innerText.includes("the daemon doesn't answer")`)
		w.change(func() { w.down = nil })
		b.until(`document.body.innerText.includes("` + text + `") && !document.body.innerText.includes("doesn't answer")`)
		b.until(`document.getElementById("pulse").innerText.includes("live")`)
	}
	b.clean()
}
