package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// seeded has a one-shot that writes down each of its runs, and a service that may fail.
const seeded = `
services:
  seed:
    image: rhumb-test/app:1
    restart: "no"
    command: [do, note, "run of $$RELEASE", sleep, 100ms]
    environment: {RELEASE: "${V}", NOTES: /out/runs}
    volumes: ["./out:/out"]
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}", EXIT_AFTER: "${EXIT:-}", START_DELAY: 500ms}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    depends_on: {seed: {condition: service_started}, mig: {condition: service_completed_successfully}}
    x-rhumb: {drain: 2s}
  mig:
    image: rhumb-test/app:1
    command: [exit, "${MIG:-0}"]
    environment: {RELEASE: "${V}"}
`

// runs returns the runs that the one-shot has written down.
func (k *stack) runs() string {
	k.t.Helper()
	b, err := os.ReadFile(filepath.Join(k.dir, "out", "runs"))
	if err != nil {
		k.t.Fatal(err)
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(string(b), "run of ", "")), " ")
}

func TestPuttingBackRunsNoFinishedOneShotAgain(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	for _, c := range []struct {
		name string
		env  []string
		runs string
	}{
		{"a service fails", []string{"V=two", "EXIT=100ms"}, "one two"},
		{"a job fails", []string{"V=two", "MIG=1"}, "one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			k := newStack(t, s, seeded)
			k.write("out/.keep", "")
			k.version("one")
			k.must(0, "deploy")
			l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20})
			k.env = c.env
			k.must(3, "deploy")
			if got := k.runs(); got != c.runs {
				t.Errorf("after it was put back: runs of %s, want %s", got, c.runs)
			}
			k.version("one")
			if out := k.must(0, "deploy"); !strings.Contains(out, "nothing changed") {
				t.Errorf("deployed again:\n%s", out)
			}
			if got := k.runs(); got != c.runs {
				t.Errorf("after nothing had changed: runs of %s, want %s", got, c.runs)
			}
			if y := l.end(); y.failed > 0 || y.releases["two"] > 0 {
				t.Errorf("%v, by release: %v", y, y.releases)
			}
		})
	}
}
