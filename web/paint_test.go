package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// What may be loaded for a page.
const (
	pageSize   = 100 << 10
	assetsSize = 50 << 10 // browsers keep the style and the script
)

// loaded is how the browser loaded a page.
type loaded struct {
	Paint float64 // milliseconds until the first content was painted; 0: not yet
	Wait  float64 // of these, until the page's first byte came
	Page  int     // bytes of the page
	Rest  int     // bytes of its style and its script
}

const howLoaded = `(() => {
	const [page] = performance.getEntriesByType("navigation");
	const rest = performance.getEntriesByType("resource").filter((r) => r.name.includes("/static/"));
	return { Paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime || 0, Wait: page.responseStart,
		Page: page.decodedBodySize, Rest: rest.reduce((sum, r) => sum + r.decodedBodySize, 0) };
})()`

// loads are the loads of one page, the fastest first.
type loads []loaded

func (l loads) median() loaded { return l[len(l)/2] }

func (l *loads) add(b *browser, url string) {
	b.do(chromedp.Navigate(url))
	b.until(howLoaded + ".Paint > 0")
	*l = append(*l, eval[loaded](b, howLoaded))
	slices.SortFunc(*l, func(a, b loaded) int { return int(1000 * (a.Paint - b.Paint)) })
}

// A page with a line of text and nothing else takes its turns with each page: what that takes is the browser's own and
// the machine's. The times are logged for docs/benchmarks.md, with RHUMB_TEST_LONG=1 as medians, and decide nothing.
func TestPagesAreSmallAndPainted(t *testing.T) {
	b := browse(t, newWorld().server())
	b.look(1280, "light")
	times := 1
	if os.Getenv("RHUMB_TEST_LONG") == "1" {
		times = 5
	}
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, `<!doctype html><title>bare</title><link rel="icon" href="data:,"><p>bare`)
	}))
	defer bare.Close()
	for _, sh := range slices.Concat(shots, observedShots) {
		if strings.Contains(sh.name, "-") {
			continue // another state of a page
		}
		b.show(sh.world().server())
		var page, floor loads
		for range times {
			page.add(b, b.base+sh.path)
			floor.add(b, bare.URL)
		}
		l, least := page.median(), floor.median()
		t.Logf("%-12s painted after %3.0f ms (fastest %3.0f; bare page %3.0f, fastest %3.0f; first byte after %3.0f), "+
			"%2d kB, and %d kB of style and script", sh.name, l.Paint, page[0].Paint, least.Paint, floor[0].Paint, l.Wait,
			l.Page>>10, l.Rest>>10)
		if l.Page > pageSize || l.Rest > assetsSize {
			t.Errorf("%s loads %d bytes, and %d of style and script", sh.name, l.Page, l.Rest)
		}
	}
	b.clean()
}
