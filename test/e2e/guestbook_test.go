package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"rhumb/internal/porttest"
)

// besideGuestbook adds to the guestbook what it has no use for: a slow path and a WebSocket, behind a port of their
// own.
const besideGuestbook = `
services:
  echo:
    image: rhumb-test/app:1
    environment: {RELEASE: "${VERSION:-1}"}
    ports: [{target: 8000, published: "${ECHO_PORT}", app_protocol: http}]
    x-rhumb: {drain: 6s}
`

// guestbook is the example, in a folder of its own.
type guestbook struct {
	*stack
	echoPort int
}

func newGuestbook(t *testing.T, s *server) *guestbook {
	t.Helper()
	k := newStack(t, s, "")
	if err := os.Remove(k.dir + "/compose.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(k.dir, os.DirFS("../../examples/guestbook")); err != nil {
		t.Fatal(err)
	}
	k.write("e2e.yaml", besideGuestbook)
	g := &guestbook{stack: k, echoPort: porttest.Free(t)}
	g.version(1)
	return g
}

// version chooses what the next deployment deploys.
func (g *guestbook) version(v int) {
	g.env = []string{fmt.Sprintf("VERSION=%d", v), fmt.Sprintf("ECHO_PORT=%d", g.echoPort)}
}

func (g *guestbook) deploy() result {
	return g.rhumb("deploy", "-f", "compose.yaml", "-f", "e2e.yaml", "--wait-lock", "2m")
}

func (g *guestbook) mustDeploy() {
	g.t.Helper()
	start := time.Now()
	if r := g.deploy(); r.code != 0 {
		g.t.Fatalf("rhumb deploy exits with %d:\n%s", r.code, r.out)
	}
	g.t.Logf("deployed after %.1f s", time.Since(start).Seconds())
}

func (g *guestbook) echoURL(scheme, path string) string {
	return fmt.Sprintf("%s://127.0.0.1:%d%s", scheme, g.echoPort, path)
}

// load asks the page through its published port, the back end through its route, and the slow path and the WebSocket
// beside them.
func (g *guestbook) load() *load {
	return startLoad(g.t, loadPlan{
		urls:   []string{g.url("/"), g.entryURL("/api/whoami"), g.echoURL("http", "/"), g.entryURL("/api/messages")},
		rate:   200,
		slow:   g.echoURL("http", "/slow?d=5s"),
		socket: g.echoURL("ws", "/ws"),
	})
}

// leave leaves a message.
func (k *stack) leave(url, text string) {
	k.t.Helper()
	body, err := json.Marshal(map[string]string{"author": "e2e", "text": text})
	if err != nil {
		k.t.Fatal(err)
	}
	resp, err := http.Post(url, "application/json", strings.NewReader(string(body)))
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		k.t.Fatalf("leaving a message is answered with %s", resp.Status)
	}
}

// How often the guestbook is updated. Its tests don't run beside others: its load takes most of a small machine, and
// beside others they take four times as long.
const updates, updatesDuringKills = 20, 10

func TestTwentyUpdatesOfTheGuestbookUnderLoadDropNothing(t *testing.T) {
	needDocker(t)
	g := newGuestbook(t, newServer(t))
	g.mustDeploy()
	g.leave(g.url("/api/messages"), "the first")
	l := g.load()
	for v := 2; v <= updates+1; v++ {
		g.version(v)
		g.mustDeploy()
		g.says(g.entryURL("/api/whoami"), fmt.Sprintf(`"release":"%d"`, v))
		g.says(g.url("/whoami.json"), fmt.Sprintf(`"release": "%d"`, v))
	}
	g.judge(l.end(), updates)
	g.says(g.url("/api/messages"), "the first")
}

func TestKillingTheServerWhileTheGuestbookIsUpdatedDropsNothing(t *testing.T) {
	needDocker(t)
	s := newServer(t)
	g := newGuestbook(t, s)
	g.mustDeploy()
	g.leave(g.url("/api/messages"), "the first")
	l := g.load()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	ctx, stop := context.WithCancel(t.Context())
	kills := make(chan int)
	go func() { kills <- s.killAtRandom(ctx, seed) }()
	for v := 2; v <= updatesDuringKills+1; v++ {
		g.version(v)
		g.deployInSpiteOfAll()
		g.says(g.entryURL("/api/whoami"), fmt.Sprintf(`"release":"%d"`, v))
	}
	stop()
	t.Logf("the server was killed %d times", <-kills)
	s.await()
	g.judge(l.end(), updatesDuringKills)
	g.says(g.url("/api/messages"), "the first")
	want := map[string]int{"web": 1, "api": 2, "db": 1, "echo": 1}
	eventually(t, 30*time.Second, "nothing is orphaned", func() error { return g.running(want) })
}

// deployInSpiteOfAll asks until the server says that the release serves: a request that is cut off isn't lost.
func (g *guestbook) deployInSpiteOfAll() {
	g.t.Helper()
	start := time.Now()
	var r result
	for time.Since(start) < 3*time.Minute {
		switch r = g.deploy(); r.code {
		case 0:
			g.t.Logf("deployed after %.1f s", time.Since(start).Seconds())
			return
		case 1, 5: // the server was away, or still at it
			time.Sleep(100 * time.Millisecond)
		default:
			g.t.Fatalf("rhumb deploy exits with %d:\n%s", r.code, r.out)
		}
	}
	g.t.Fatalf("rhumb deploy still exits with %d:\n%s", r.code, r.out)
}

// running checks that exactly so many containers of each service run.
func (k *stack) running(want map[string]int) error {
	got := map[string]int{}
	for _, name := range strings.Fields(docker(k.t, "ps", "--format", "{{.Names}}", "--filter", "name=^"+k.name+"-")) {
		service, _, _ := strings.Cut(strings.TrimPrefix(name, k.name+"-"), ".")
		got[service]++
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("containers running: %v, want %v", got, want)
	}
	return nil
}

// judge fails the test unless the load was heavy enough, met the releases of all updates, and nothing of it failed.
func (g *guestbook) judge(y *tally, updates int) {
	g.t.Helper()
	g.t.Log(y)
	if y.failed > 0 {
		g.t.Errorf("%d requests failed", y.failed)
	}
	for v := 2; v <= updates+1; v++ {
		if y.releases[fmt.Sprint(v)] == 0 {
			g.t.Errorf("no answer came from release %d", v)
		}
	}
	if y.slow == 0 || y.echoes == 0 || y.sent < 1000 {
		g.t.Errorf("that was no load")
	}
}
