package compose

import (
	"os"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// loadText reads a Compose file.
func loadText(t *testing.T, text string) rhumb.Stack {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "compose.yaml", text)
	p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
	if err != nil {
		t.Fatal(told(err))
	}
	return p.Stack
}

func TestLimitsAreRead(t *testing.T) {
	t.Parallel()
	got := loadText(t, `
services:
  web:
    image: nginx
    x-rhumb:
      routes:
        - {host: Shop.example.com, path: /v1/, limits: {rate: 1000/m, by: "header:X-Api-Key"}}
        - blog.example.com
      limits:
        - {rate: 20/s, burst: "40", connections: 100, body: 10MB, status: 503, mode: observe}
        - {rate: 5/h, burst: 0, by: route, paths: [/login, "/wp-*"]}
        - {rate: 9000/d, by: client, paths: /a, mode: enforce}
`)
	same(t, "limits", got.Service("web").Limits, []rhumb.Limit{
		{Rate: rhumb.Rate{Count: 20, Per: time.Second}, Burst: 40, Connections: 100, Body: 10 << 20, Status: 503,
			Observe: true},
		{Rate: rhumb.Rate{Count: 5, Per: time.Hour}, By: rhumb.ByRoute, Paths: []string{"/login", "/wp-*"}},
		{Rate: rhumb.Rate{Count: 9000, Per: 24 * time.Hour}, Burst: 9000, By: rhumb.ByClient, Paths: []string{"/a"}},
		{Route: "shop.example.com/v1", Rate: rhumb.Rate{Count: 1000, Per: time.Minute}, Burst: 1000,
			By: "header:X-Api-Key"},
	})
}

func TestLimitsChangeNoSpecHash(t *testing.T) {
	t.Parallel()
	const plain = "services: {web: {image: x, ports: ['80:80'], x-rhumb: {drain: 3s}}}\n"
	limited := strings.Replace(plain, "drain: 3s", "drain: 3s, limits: {rate: 20/s}", 1)
	a, b := loadText(t, plain), loadText(t, limited)
	if len(b.Service("web").Limits) != 1 {
		t.Fatalf("read as %+v", b.Service("web").Limits)
	}
	same(t, "hashes", a.Specs(), b.Specs())
}

// Whoever copies an example from the document gets a stack file that can be deployed.
func TestTheExamplesOfTheDocumentWork(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../docs/limits.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "```yaml\n")[1:]
	for _, b := range blocks {
		example, _, _ := strings.Cut(b, "```")
		limits := 0
		for _, s := range loadText(t, example).Services {
			limits += len(s.Limits)
		}
		if limits == 0 {
			t.Errorf("no limits in %s", example)
		}
	}
	if len(blocks) < 4 {
		t.Errorf("%d examples", len(blocks))
	}
}
