package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// good is a stack that works; what follows "app:" may be replaced.
const good = `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: one}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
`

// mistakes are deployments that fail, each with what the card must say.
var mistakes = []struct {
	name    string
	compose string
	codes   []int // that are right
	says    []string
}{
	{"a missing image", `
services:
  app:
    image: rhumb-test/absent:1
    pull_policy: never
    environment: {RELEASE: two}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
`, []int{1}, []string{"rhumb-test/absent:1"}},
	{"an image that cannot start", `
services:
  app:
    image: rhumb-test/app:1
    entrypoint: [/absent]
    environment: {RELEASE: two}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
`, []int{3}, []string{"/absent"}},
	{"a crash loop", `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: two, ADDR: none, EXIT_AFTER: 200ms, EXIT_CODE: 9}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
`, []int{3}, []string{"9", "panic: as EXIT_AFTER asked"}},
	{"a crash right after it was ready", `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: two, EXIT_AFTER: 2s}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    deploy: {update_config: {monitor: 5s, order: start-first}}
`, []int{3}, []string{"exited with 1", "panic: as EXIT_AFTER asked"}},
	{"a health check that fails", `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: two, HEALTH: bad}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    healthcheck: {test: [CMD, /app, check, "http://127.0.0.1:8000/health"], interval: 300ms, timeout: 2s, retries: 3}
`, []int{3}, []string{"the database is not reachable"}},
	{"a port that never opens", `
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: two, ADDR: none}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    x-rhumb: {ready: {tcp: 8000, timeout: 3s}}
`, []int{3}, []string{"8000", "starting two"}},
	{"a one-shot that fails", `
services:
  migrate:
    image: rhumb-test/app:1
    command: [exit, "7"]
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: two}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    depends_on: {migrate: {condition: service_completed_successfully}}
`, []int{3}, []string{"7", "migrate", "leaving with 7"}},
}

func TestAFailingDeploymentIsPutBackWhileTheOldReleaseServes(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	for _, m := range mistakes {
		t.Run(m.name, func(t *testing.T) {
			k := newStack(t, s, good)
			k.must(0, "deploy")
			before := k.containers()
			// A release that serves and then dies leaves no replica until the old one is back: requests wait.
			served := strings.Contains(m.name, "right after")
			l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 50, gap: served})
			k.write("compose.yaml", m.compose)
			r := k.rhumb("deploy")
			t.Logf("exit %d:\n%s", r.code, r.out)
			if !slices.Contains(m.codes, r.code) {
				t.Errorf("exit code %d, want %v", r.code, m.codes)
			}
			for _, text := range m.says {
				if !strings.Contains(r.out, text) {
					t.Errorf("the card doesn't say %q", text)
				}
			}
			k.says(k.url("/"), `"Release":"one"`)
			y := l.end()
			switch {
			case served && y.failed == 1: // the dying replica may take the request with it that it was answering
				if !strings.Contains(r.out, "1 connection or request to app wasn't served") {
					t.Errorf("the verdict doesn't name a lost request: %v", y)
				}
			case y.failed > 0 || y.releases["two"] > 0 && !served:
				t.Errorf("meanwhile: %v, by release: %v", y, y.releases)
			}
			if after := k.containers(); !slices.Equal(before, after) {
				t.Errorf("containers before: %v, after: %v", before, after)
			}
		})
	}
}

func TestAFailedFirstDeploymentLeavesOnlyVolumes(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), `
services:
  store:
    image: rhumb-test/app:1
    volumes: [kept:/data]
  app:
    image: rhumb-test/app:1
    environment: {ADDR: none, EXIT_AFTER: 100ms}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    depends_on: [store]
    x-rhumb: {ready: {http: /, timeout: 3s}} # for as long it is started again
volumes: {kept: }
`)
	k.must(3, "deploy")
	if left := k.containers(); len(left) > 0 {
		t.Errorf("containers left: %v", left)
	}
	if left := docker(t, "network", "ls", "-q", "--filter", "name=^"+k.name); left != "" {
		t.Errorf("networks left: %s", left)
	}
	if kept := docker(t, "volume", "ls", "-q", "--filter", "name=^"+k.name); !strings.Contains(kept, "kept") {
		t.Errorf("the volume is gone; there are: %q", kept)
	}
}

func TestBadInputChangesNothing(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), good)
	k.must(0, "deploy")
	before := k.containers()
	for name, compose := range map[string]string{
		"an unknown field":   strings.Replace(good, "environment:", "enviroment:", 1),
		"a bad port":         strings.Replace(good, "target: 8000", "target: 80800", 1),
		"an unset variable":  strings.Replace(good, "RELEASE: one", `RELEASE: "${ABSENT}"`, 1),
		"an empty file":      "",
		"not a Compose file": "hello",
	} {
		k.write("compose.yaml", compose)
		if r := k.rhumb("deploy"); r.code != 2 || !strings.Contains(r.out, "compose.yaml") {
			t.Errorf("%s: exit %d, want 2 with the file's name:\n%s", name, r.code, r.out)
		}
	}
	if after := k.containers(); !slices.Equal(before, after) {
		t.Errorf("containers before: %v, after: %v", before, after)
	}
	k.says(k.url("/"), `"Release":"one"`)
}

func TestNothingChangedMakesNoRelease(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), good)
	k.must(0, "deploy")
	before, releases := k.containers(), k.must(0, "releases")
	t.Log(k.must(0, "deploy"))
	if after := k.containers(); !slices.Equal(before, after) {
		t.Errorf("containers before: %v, after: %v", before, after)
	}
	if now := k.must(0, "releases"); strings.Count(now, "\n") != strings.Count(releases, "\n") {
		t.Errorf("releases before:\n%s\nafter:\n%s", releases, now)
	}
}

func TestAPortOfAnotherProcessIsRefusedBeforeAnyChange(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	one, two := newStack(t, s, good), newStack(t, s, good)
	two.port = one.port
	one.must(0, "deploy")
	r := two.rhumb("deploy")
	if r.code == 0 || r.code == 4 || !strings.Contains(r.out, fmt.Sprint(one.port)) {
		t.Errorf("exit %d:\n%s", r.code, r.out)
	}
	if left := two.containers(); len(left) > 0 {
		t.Errorf("containers left: %v", left)
	}
	one.says(one.url("/"), `"Release":"one"`)
}
