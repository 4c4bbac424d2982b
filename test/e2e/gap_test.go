package e2e

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// gaps are stop-first services, each with a volume of its own: between two replicas there is none.
var gaps = []struct {
	name, compose string
	path          string // of the requests
	raw           bool
}{
	{"a raw TCP port", `
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}"}
    ports: ["${PORT}:8000"]
    volumes: ["data:/data"]
volumes: {data: }
`, "/", true},
	{"an HTTP port, and a migration at the start", `
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}", START_DELAY: 4s}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    volumes: ["data:/data"]
volumes: {data: }
`, "/", false},
	{"a pre-forking server that stops slowly", `
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}", WORKERS: 2, START_DELAY: 1s, STOP_DELAY: 2s}
    ports: ["${PORT}:8000"]
    volumes: ["data:/data"]
volumes: {data: }
`, "/", true},
	{"a pair like WordPress and its database", `
services:
  wordpress:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}", DB: "db:3306"}
    ports: ["${PORT}:8000"]
    volumes: ["html:/var/www/html"]
    depends_on: [db]
  db:
    image: rhumb-test/app:1
    command: [mysqld]
    environment: {RELEASE: "${V}", ADDR: none, TCP: ":3306", START_DELAY: 1s}
    expose: ["3306"]
    volumes: ["data:/var/lib/mysql"]
volumes: {html: , data: }
`, "/db", true},
}

// version chooses what the next deployment deploys.
func (k *stack) version(v string) { k.env = []string{"V=" + v} }

// load asks a path, with an idle connection and slow requests beside. Requests may have to wait.
func (k *stack) load(path string, raw bool) *load {
	return startLoad(k.t, loadPlan{
		urls: []string{k.url(path)}, rate: 20, slow: k.url("/slow?d=2s"), idle: fmt.Sprintf("127.0.0.1:%d", k.port), raw: raw,
		gap: true,
	})
}

func TestAStopFirstServiceChangesWithoutALostRequest(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	for _, g := range gaps {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			k := newStack(t, s, g.compose)
			k.version("one")
			k.must(0, "deploy")
			l := k.load(g.path, g.raw)
			time.Sleep(time.Second)
			k.version("two")
			if out := k.must(0, "plan"); strings.Contains(out, "may take longer") {
				t.Errorf("the plan warns of a hold that is long enough:\n%s", out)
			}
			out := k.must(0, "deploy")
			time.Sleep(time.Second)
			y := l.end()
			t.Logf("%v", y)
			if y.failed > 0 || y.crossed > 2 || y.releases["one"] == 0 || y.releases["two"] == 0 || y.slow == 0 || y.idles == 0 {
				t.Errorf("by release: %v", y.releases)
			}
			if strings.Contains(out, "served") && strings.Contains(out, "weren't") {
				t.Errorf("a false word:\n%s", out)
			}
			if n := k.unserved(); n != 0 {
				t.Errorf("%d are said to be unserved", n)
			}
		})
	}
}

// unserved is the sum of what "rhumb routes" shows below UNSERVED.
func (k *stack) unserved() (sum int) {
	k.t.Helper()
	lines := strings.Split(k.must(0, "routes"), "\n")
	column := strings.Index(lines[0], "UNSERVED")
	if column < 0 {
		k.t.Fatalf("no column UNSERVED: %q", lines[0])
	}
	for _, line := range lines[1:] {
		if strings.HasPrefix(line, "*:") {
			n, err := strconv.Atoi(strings.Fields(line[column:])[0])
			if err != nil {
				k.t.Fatalf("%q: %v", line, err)
			}
			sum += n
		}
	}
	return sum
}

// shortHold is a stack whose hold can't cover its stop.
const shortHold = `
services:
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}", STOP_DELAY: 3s}
    ports: [AT]
    volumes: ["data:/data"]
    x-rhumb: {hold: 1s}
volumes: {data: }
`

var wasUnserved = regexp.MustCompile(`meanwhile (\d+) connections or requests to web weren't served`)

func TestWhatAHoldIsTooShortForIsCountedAndNamed(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	for name, port := range map[string]string{
		"raw TCP": `"${PORT}:8000"`, "HTTP": `{target: 8000, published: "${PORT}", app_protocol: http}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := newStack(t, s, strings.Replace(shortHold, "AT", port, 1))
			k.version("one")
			k.must(0, "deploy")
			l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20, slow: k.url("/slow?d=2s"), raw: name == "raw TCP",
				gap: true})
			time.Sleep(time.Second)
			k.version("two")
			if out := k.must(0, "plan"); !strings.Contains(out, "requests wait for 1s, but a change may take longer") {
				t.Errorf("the plan doesn't warn:\n%s", out)
			}
			out := k.must(0, "deploy")
			time.Sleep(time.Second)
			y := l.end()
			t.Logf("%v", y)
			m := wasUnserved.FindStringSubmatch(out)
			if m == nil {
				t.Fatalf("%d failed, and the verdict says:\n%s", y.failed, out)
			}
			told, routes := m[1], k.unserved()
			if told != strconv.Itoa(routes) || routes != y.failed || y.failed == 0 {
				t.Errorf("%d failed; the verdict says %s, rhumb routes %d", y.failed, told, routes)
			}
			if events := k.must(0, "events"); !strings.Contains(events, "connections or requests to web weren't served") {
				t.Errorf("no event says so:\n%s", events)
			}
		})
	}
}
