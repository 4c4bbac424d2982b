package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// replaced are services of two replicas whose next release differs in its environment only.
var replaced = []struct {
	name  string
	port  string
	old   string // environment beside RELEASE
	new   string
	code  int
	says  string // the card
	raw   bool
	never bool   // the new release answers no request
	ready string // the old one's check, if it isn't the same
}{
	{
		name: "a server that listens and then dies", port: rawPort, raw: true,
		new: "EXIT_AFTER: 1500ms", code: 3, says: "exited with 1", never: true,
	},
	{
		name: "a master that listens while its workers die", port: rawPort, raw: true,
		old: "WORKERS: 2", new: "WORKERS: 2, START_DELAY: 3s, EXIT_AFTER: 1500ms", code: 3, says: "a worker failed to boot",
		never: true,
	},
	{
		name: "a master that listens before its workers serve", port: rawPort, raw: true,
		old: "WORKERS: 2, START_DELAY: 3s", new: "WORKERS: 2, START_DELAY: 3s",
	},
	{
		name: "a server that migrates first", port: rawPort, raw: true,
		new: "START_DELAY: 3s",
	},
	{
		name: "an HTTP server that answers 500", port: httpPort,
		new: "STATUS: 500", code: 3, says: "GET /: 500 Internal Server Error", never: true,
	},
	{
		name: "an HTTP server that answers 500, as the one before", port: httpPort,
		old: "STATUS: 500", new: "STATUS: 500", ready: "http: /health, port: 8000, ",
	},
}

const (
	rawPort  = `"${PORT}:8000"`
	httpPort = `{target: 8000, published: "${PORT}", app_protocol: http}`
)

// twoReplicas is the stack of a service that is replaced.
func twoReplicas(port, release, environment, ready string) string {
	return fmt.Sprintf(`
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: %s, %s}
    ports: [%s]
    deploy: {replicas: 2, update_config: {parallelism: 2}}
    x-rhumb: {drain: 5s, ready: {%stimeout: 4s}}
`, release, environment, port, ready)
}

func TestOnlyWhatGoesOnServingReplacesTheOldRelease(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	for _, c := range replaced {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newStack(t, s, twoReplicas(c.port, "one", c.old, c.ready))
			k.must(0, "deploy")
			l := k.load("/who", c.raw)
			time.Sleep(time.Second)
			k.write("compose.yaml", twoReplicas(c.port, "two", c.new, ""))
			out := k.must(c.code, "deploy")
			time.Sleep(time.Second)
			y := l.end()
			t.Logf("%v", y)
			if y.failed > 0 || y.crossed > 2 || y.releases["one"] == 0 || (y.releases["two"] == 0) != c.never ||
				y.longest > 2*time.Second {
				t.Errorf("by release: %v\n%s", y.releases, out)
			}
			if !strings.Contains(out, c.says) || strings.Contains(out, "weren't served") {
				t.Errorf("want %q in:\n%s", c.says, out)
			}
		})
	}
}

// behindNginx is a service that only another one calls.
var behindNginx = `
services:
  front:
    image: rhumb-test/hops:1
    init: true
    ports: [{target: 80, published: "${PORT}", app_protocol: http}]
    depends_on: [server]
    stop_signal: SIGQUIT
` + nginx(`server { listen 80; location / { proxy_pass http://server:8000; } }`) + `  server:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}", ADDR: "${BIND:-}:8000"}
    EXPOSE
    x-rhumb: {ready: {timeout: 4s}}
`

func TestAReplicaThatItsNeighboursCannotReachIsNotReady(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	for name, expose := range map[string]string{"expose": `expose: ["8000"]`, "EXPOSE of the image": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newStack(t, s, strings.Replace(behindNginx, "EXPOSE", expose, 1))
			k.version("one")
			k.must(0, "deploy")
			l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20, slow: k.url("/slow?d=2s")})
			k.env = []string{"V=two", "BIND=127.0.0.1"}
			out := k.must(3, "deploy")
			if want := "nothing listens on 8000 from outside the container (it listens on 127.0.0.1)"; !strings.Contains(out,
				want) {
				t.Errorf("want %q in:\n%s", want, out)
			}
			k.version("three")
			k.must(0, "deploy")
			time.Sleep(time.Second)
			y := l.end()
			t.Logf("%v", y)
			if y.failed > 0 || y.releases["two"] > 0 || y.releases["three"] == 0 {
				t.Errorf("by release: %v", y.releases)
			}
			k.crash()
		})
	}
}

// crash has the only replica of the server die. Once it is there again, its callers don't wait until it has been
// steady.
func (k *stack) crash() {
	k.t.Helper()
	_, _, _ = fetch(k.url("/crash"))
	eventually(k.t, 20*time.Second, "the server is reached again", func() error {
		code, _, err := fetch(k.url("/"))
		if err != nil || code != http.StatusOK {
			return fmt.Errorf("%d, %v", code, err)
		}
		return nil
	})
	id := strings.TrimSpace(docker(k.t, "ps", "-q", "-n", "1", "--filter", "name=^"+k.name+"-server"))
	text := strings.TrimSpace(docker(k.t, "inspect", "--format", "{{.State.StartedAt}}", id))
	started, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		k.t.Fatal(err)
	}
	after := time.Since(started)
	k.t.Logf("after a crash: reached %.1f s after its start at the latest", after.Seconds())
	if after >= rhumb.ReadyWindow {
		k.t.Errorf("its callers waited for %s", after)
	}
}
