package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a tab of a headless Chromium that was let into a dashboard.
type browser struct {
	t    *testing.T
	ctx  context.Context
	base string // of the dashboard's addresses
	now  atomic.Pointer[server]

	mu       sync.Mutex
	mistakes []string // errors and warnings in the console
}

// browse opens a dashboard in Chromium. It skips the test where there is none, except in CI.
func browse(t *testing.T, s *server) *browser {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes seconds")
	}
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("there is no chromium: run scripts/test-tools")
		}
		t.Skip("there is no chromium: run scripts/test-tools")
	}
	b := &browser{t: t}
	b.show(s)
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.now.Load().handler().ServeHTTP(w, r)
	}))
	t.Cleanup(site.Close)
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	b.base = site.URL
	b.ctx, cancel = chromedp.NewContext(ctx, chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	b.do(call(log.Enable, cdp.Empty{}), chromedp.Navigate(site.URL+"/?key="+testKey))
	return b
}

// show makes the browser's addresses those of another dashboard.
func (b *browser) show(s *server) { b.now.Store(s) }

// call is a command of the protocol as an action.
func call[P any](c cdp.Command[P, cdp.Empty], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		_, err := chromedp.Call(ctx, c, params)
		return err
	})
}

// listen keeps what the browser complains about.
func (b *browser) listen(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.mistakes = append(b.mistakes, e.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		if kind := e.Type.String(); kind == "error" || kind == "warning" {
			b.mistakes = append(b.mistakes, fmt.Sprintf("console: %v", e.Args[0].Value))
		}
	case *log.EventEntryAdded:
		if kind := e.Entry.Level.String(); kind == "error" || kind == "warning" {
			if !strings.Contains(e.Entry.Text, "server responded with a status of") { // a page about an error
				b.mistakes = append(b.mistakes, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	}
}

// clean fails if the browser has complained.
func (b *browser) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, m := range b.mistakes {
		b.t.Errorf("the browser complains: %s", m)
	}
	b.mistakes = nil
}

// do performs actions, and ends the test if one fails.
func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// open opens a page of the dashboard.
func (b *browser) open(path string) {
	b.t.Helper()
	b.do(chromedp.Navigate(b.base + path))
}

// eval returns the value of an expression in the page.
func eval[T any](b *browser, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatal(err)
	}
	return v
}

// until waits until an expression is true in the page, or in the page that comes after it.
func (b *browser) until(js string) {
	b.t.Helper()
	holds := func() bool {
		is, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](js))
		return err == nil && is // there is no page for a moment while another one is loaded
	}
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(30 * time.Millisecond) {
		if time.Now().After(end) {
			b.t.Fatalf("never true: %s\n%s", js, eval[string](b, "location.href + '\\n' + document.body.innerText"))
		}
	}
}

// look sets the size of the window and the theme of the system.
func (b *browser) look(width int, theme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(int64(width), 900), call(emulation.SetEmulatedMedia,
		emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: theme}}}))
}

// shoot writes a picture of the whole page into the folder RHUMB_SHOTS, for people to look at.
func (b *browser) shoot(name string) {
	b.t.Helper()
	dir := os.Getenv("RHUMB_SHOTS")
	if dir == "" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

// shot is a page in a state, to be looked at in all sizes and themes.
type shot struct {
	name  string
	path  string
	world func() *world
}

var shots = []shot{
	{"stacks", "/stacks", shopWorld},
	{"stacks-broken", "/stacks", brokenWorld},
	{"stacks-empty", "/stacks", newWorld},
	{"stacks-away", "/stacks", awayWorld},
	{"stacks-hostile", "/stacks", hostileWorld},
	{"stack", "/stacks/shop", shopWorld},
	{"stack-open", "/stacks/shop", openWorld},
	{"stack-broken", "/stacks/shop", brokenWorld},
	{"stack-away", "/stacks/shop", awayWorld},
	{"stack-unmeasured", "/stacks/shop", unmeasuredWorld},
	{"stack-hostile", "/stacks/shop", hostileWorld},
	{"deployment", "/stacks/shop/deployments/812", shopWorld},
	{"deployment-open", "/stacks/shop/deployments/813", openWorld},
	{"deployment-failed", "/stacks/shop/deployments/811", shopWorld},
	{"deployment-stuck", "/stacks/shop/deployments/812", brokenWorld},
	{"deployment-away", "/stacks/shop/deployments/812", awayWorld},
	{"deployment-hostile", "/stacks/shop/deployments/811", hostileWorld},
	{"rollback", "/stacks/shop/rollback", shopWorld},
	{"scale", "/stacks/shop/scale?service=api", shopWorld},
	{"scale-plan", "/stacks/shop/scale?service=api&replicas=5", shopWorld},
	{"cancel", "/stacks/shop/deployments/813/cancel", openWorld},
	{"rollback-hostile", "/stacks/shop/rollback", hostileWorld},
	{"certificates", "/certificates", shopWorld},
	{"certificates-empty", "/certificates", newWorld},
	{"certificates-hostile", "/certificates", hostileWorld},
	{"events", "/events", shopWorld},
	{"events-empty", "/events?stack=blog", shopWorld},
	{"events-away", "/events", awayWorld},
	{"events-hostile", "/events", hostileWorld},
	{"missing", "/nothing", shopWorld},
	{"closed", "/stacks?key=wrong", shopWorld},
}

func TestPagesLookRightInAllSizesAndThemes(t *testing.T) {
	only := os.Getenv("RHUMB_SHOT")
	b := browse(t, newWorld().server())
	for _, sh := range slices.Concat(shots, observedShots) {
		if !strings.Contains(sh.name, only) {
			continue
		}
		b.show(sh.world().server())
		b.open(sh.path)
		for _, theme := range []string{"light", "dark"} {
			for _, width := range []int{360, 1280, 2560} {
				b.look(width, theme)
				name := fmt.Sprintf("%s-%s-%d", sh.name, theme, width)
				if wide := eval[int](b, "document.documentElement.scrollWidth"); wide > width {
					t.Errorf("%s: the page is %d wide: %s", name, wide, eval[string](b, tooWide))
				}
				for _, fault := range eval[[]string](b, accessFaults) {
					t.Errorf("%s: %s", name, fault)
				}
				b.clean()
				b.shoot(name)
			}
		}
	}
}

// tooWide names the elements that are wider than the window.
const tooWide = `[...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1)
	.slice(0, 5).map(e => e.tagName + "." + e.className).join(", ")`
