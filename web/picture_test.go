package web

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdpage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"rhumb"
)

// pictureWorld is the shop as the README shows it.
func pictureWorld() *world {
	w := shopWorld()
	w.metric = func(q rhumb.MetricQuery) []rhumb.Series {
		q = q.Range(noon)
		of := func(values map[string]float64) (list []rhumb.Series) {
			for _, service := range []string{"web", "api", "worker", "db"} {
				if v, ok := values[service]; ok {
					list = append(list, seriesOf(q, map[string]string{"service": service}, time.Time{}, noon,
						func(t time.Time) float64 { return v * busy(t, len(service)) }))
				}
			}
			return list
		}
		switch has := func(s string) bool { return strings.Contains(q.Expr, s) }; {
		case has("histogram_quantile") && has("service"):
			return of(map[string]float64{"web": .024, "api": .037})
		case has("histogram_quantile"):
			return of(map[string]float64{"api": .034})
		case has("errors"):
			return of(map[string]float64{"web": .0001, "api": .0004})
		case has("by (release)"):
			return byRelease(q)
		case has("rhumb_requests"):
			return of(map[string]float64{"web": 43, "api": 41})
		case has("_cpu_limit"):
			return of(map[string]float64{"web": 1, "api": 3, "worker": 2})
		case has("_cpu_"):
			return of(map[string]float64{"web": .16, "api": 1.3, "worker": .64, "db": .23})
		case has("_memory_limit"):
			return of(map[string]float64{"web": 256 << 20, "api": 1536 << 20, "worker": 1024 << 20, "db": 2048 << 20})
		case has("_memory_bytes"):
			return of(map[string]float64{"web": 92 << 20, "api": 640 << 20, "worker": 390 << 20, "db": 1260 << 20})
		}
		return nil
	}
	return w
}

// busy is how much there is to do at a time: about 1.
func busy(t time.Time, kind int) float64 {
	s := float64(t.Unix()) + 700*float64(kind)
	_, chance := math.Modf(math.Abs(math.Sin(s) * 43_758.5453))
	return 1 + .28*math.Sin(s/5200) + .12*math.Sin(s/1700) + .08*math.Sin(s/600) + .08*(chance-.5)
}

// byRelease is the traffic of releases 41 and 42.
func byRelease(q rhumb.MetricQuery) []rhumb.Series {
	all := func(t time.Time) float64 { return 43*busy(t, len("web")) + 41*busy(t, len("api")) }
	changed := noon.Add(-3 * time.Hour)
	return []rhumb.Series{
		seriesOf(q, map[string]string{"release": "41"}, time.Time{}, changed, all),
		seriesOf(q, map[string]string{"release": "42"}, changed.Add(-q.Step), noon, all),
	}
}

// pictureLimit is how many bytes the README's picture may have.
const pictureLimit = 150 << 10

// With RHUMB_PICTURES, the picture is written into that folder.
func TestThePictureOfTheDashboardIsTaken(t *testing.T) {
	b := browse(t, pictureWorld().server())
	b.do(chromedp.EmulateViewport(1280, 3000))
	b.open("/stacks/shop")
	b.until(`document.getElementById("pulse").innerText.includes("live")`)
	width := eval[int](b, `document.querySelector("header.top").getBoundingClientRect().right`) // up to the scroll bar
	height := eval[int](b, `Math.ceil(document.getElementById("stack-services").getBoundingClientRect().bottom) + 12`)
	picture := b.shootPart(width, height)
	decoded, err := png.Decode(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	if size := decoded.Bounds().Size(); size != image.Pt(width, height) {
		t.Errorf("the picture has %v pixels, want %d x %d", size, width, height)
	}
	if len(picture) > pictureLimit {
		t.Errorf("the picture has %d bytes, want at most %d", len(picture), pictureLimit)
	}
	b.clean()
	if dir := os.Getenv("RHUMB_PICTURES"); dir != "" {
		if err := os.WriteFile(filepath.Join(dir, "dashboard.png"), picture, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// shootPart returns a picture of the window's upper left part.
func (b *browser) shootPart(width, height int) (shot []byte) {
	b.t.Helper()
	b.do(chromedp.Func(func(ctx context.Context, _ *chromedp.Target) error {
		res, err := chromedp.Call(ctx, cdpage.CaptureScreenshot, cdpage.CaptureScreenshotParams{
			Format: cdpage.CaptureScreenshotFormatPng,
			Clip:   &cdpage.Viewport{Width: float64(width), Height: float64(height), Scale: 1}})
		if err == nil {
			shot = res.Data
		}
		return err
	}))
	return shot
}
