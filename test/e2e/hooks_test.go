package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// hooked is a service with all kinds of hooks. What happens is noted in a file of the server. HOOK and the like are
// verbs of the test program.
const hooked = `
services:
  db:
    image: rhumb-test/app:1
    environment: {RELEASE: db, START_DELAY: 500ms}
    healthcheck: {test: [CMD, /app, check, "http://127.0.0.1:8000/"], interval: 1s}
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: "${RELEASE}", NOTES: /notes/log}
    volumes: ["${NOTES}:/notes"]
    secrets: [token]
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    depends_on: {db: {condition: service_healthy}}
    deploy: {replicas: 2, update_config: {order: start-first, monitor: 0s}}
    pre_start:
      - command: do get http://db:8000/ note "migrate ${RELEASE}" print "migrated ${RELEASE}" ${HOOK:-print -}
      - command: do note "seed ${RELEASE}"
        environment: {NOTES: /notes/log}
      - command: do note "each ${RELEASE}" ${EACH:-print -}
        per_replica: true
    post_start:
      - command: /app do note "greet ${RELEASE}" print hello ${GREET:-print -}
    pre_stop:
      - command: /app do note "leave ${RELEASE}" print "so long" ${LEAVE:-print -}
    x-rhumb:
      drain: 5s
      hooks: {pre_start: 6s, post_start: 6s, pre_stop: 6s}
      after: {command: 'do get http://app:8000/ note "checked ${RELEASE}" ${AFTER:-print -}', http: /health, timeout: 20s}
secrets: {token: {file: ./token.txt}}
`

// notes is a stack with hooks and the file in which they write down what they did.
type notes struct {
	*stack
	folder string
}

func newNotes(t *testing.T, s *server) *notes {
	t.Helper()
	k := newStack(t, s, hooked)
	n := &notes{stack: k, folder: filepath.Join(t.TempDir(), "notes")}
	if err := os.Mkdir(n.folder, 0o777); err != nil {
		t.Fatal(err)
	}
	k.write("token.txt", "hunter-2-secret")
	n.release("one")
	return n
}

// release sets the release and what its hooks do, NAME=VERBS.
func (n *notes) release(name string, hooks ...string) {
	n.env = append([]string{"RELEASE=" + name, "NOTES=" + n.folder}, hooks...)
}

// lines returns the lines written since the last call of take.
func (n *notes) lines() []string {
	n.t.Helper()
	b, err := os.ReadFile(filepath.Join(n.folder, "log"))
	if err != nil && !os.IsNotExist(err) {
		n.t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// take returns the lines written since the last call.
func (n *notes) take() []string {
	n.t.Helper()
	lines := n.lines()
	_ = os.Remove(filepath.Join(n.folder, "log"))
	return lines
}

// noted waits until a line has been written so many times.
func (n *notes) noted(line string, times int) {
	n.t.Helper()
	eventually(n.t, 60*time.Second, line, func() error {
		if got := count(n.lines(), line); got < times {
			return fmt.Errorf("noted %d times, want %d", got, times)
		}
		return nil
	})
}

// count returns how often a line was written.
func count(lines []string, line string) int {
	n := 0
	for _, l := range lines {
		if l == line {
			n++
		}
	}
	return n
}

// ids returns the IDs of the stack's containers, including dead ones.
func (k *stack) ids() []string {
	k.t.Helper()
	list := strings.Fields(docker(k.t, "ps", "-a", "--no-trunc", "--format", "{{.Names}}={{.ID}}", "--filter",
		"name=^"+k.name+"-"))
	slices.Sort(list)
	return list
}

func TestHooksRunInTheirOrder(t *testing.T) {
	t.Parallel()
	needDocker(t)
	n := newNotes(t, newServer(t))
	n.must(0, "deploy")
	got := n.take()
	if want := []string{"migrate one", "seed one", "each one"}; !slices.Equal(got[:min(3, len(got))], want) ||
		got[len(got)-1] != "checked one" {
		t.Errorf("at first: %q", got)
	}
	for line, times := range map[string]int{"migrate one": 1, "seed one": 1, "each one": 2, "started one": 2,
		"greet one": 2, "checked one": 1} {
		if count(got, line) != times {
			t.Errorf("%q is there %d times, not %d: %q", line, count(got, line), times, got)
		}
	}
	l := startLoad(t, loadPlan{urls: []string{n.url("/")}, rate: 50, slow: n.url("/slow?d=2s")})
	n.release("two")
	out := n.must(0, "deploy")
	if y := l.end(); y.failed > 0 {
		t.Errorf("meanwhile: %v", y)
	}
	n.noted("stopping one", 2) // a deployment converges while old replicas still drain
	got = n.take()
	t.Logf("then: %q", got)
	if !slices.Equal(got[:min(3, len(got))], []string{"migrate two", "seed two", "each two"}) ||
		slices.Index(got, "leave one") > slices.Index(got, "stopping one") ||
		count(got, "leave one") != 2 || count(got, "stopping one") != 2 || count(got, "checked two") != 1 {
		t.Errorf("then: %q", got)
	}
	if !strings.Contains(out, "pre_start") {
		t.Errorf("the hooks aren't told:\n%s", out)
	}
	if out := n.must(0, "events", "--format", "json"); !strings.Contains(out, "migrated two") ||
		!strings.Contains(out, "so long") {
		t.Errorf("the events don't have the hooks' output:\n%s", out)
	}
	if out := n.must(0, "logs", "app.pre_start.1"); !strings.Contains(out, "migrated two") {
		t.Errorf("rhumb logs: %s", out)
	}
	n.write("compose.yaml", strings.Replace(hooked, "RELEASE: db", "RELEASE: other", 1))
	n.must(0, "deploy")
	if got := n.take(); count(got, "migrate two")+count(got, "each two")+count(got, "greet two") > 0 {
		t.Errorf("only db has changed, and yet: %q", got)
	}
	n.must(0, "rollback", "1")
	if got := n.take(); count(got, "migrate one") > 0 || count(got, "each one") != 2 || count(got, "greet one") != 2 ||
		count(got, "checked one") > 0 {
		t.Errorf("a rollback: %q", got)
	}
	n.must(0, "down")
	if got := n.take(); count(got, "leave one") != 2 || count(got, "stopping one") != 2 {
		t.Errorf("at the end: %q", got)
	}
}

// brokenHooks are deployments that fail because of one hook, each with what the verdict says.
var brokenHooks = []struct {
	name, hook string
	says       []string
	same       bool // nothing at all has changed
}{
	{"a migration that fails", `HOOK=print half-way exit 7`, []string{`hook "pre_start of app" exited with 7`, "half-way"},
		true},
	{"a migration that takes too long", `HOOK=sleep 1h`, []string{`hook "pre_start of app" took longer than 6s`}, true},
	{"a hook of each replica that fails", `EACH=print oh-no exit 8`,
		[]string{`hook "pre_start 3 of app" exited with 8`, "oh-no", `hook "pre_start of app"`, `hook "pre_start 2 of app"`,
			"had completed"}, false},
	{"a hook after the start that fails", `GREET=print rude exit 9`,
		[]string{`hook "post_start of app" exited with 9`, "rude", "had completed"}, false},
	{"a hook after the start that takes too long", `GREET=sleep 1h`,
		[]string{`hook "post_start of app" took longer than 6s`}, false},
	{"a check that fails", `AFTER=print smoke exit 5`,
		[]string{"the check after it is in place failed: exited with 5", "smoke"}, false},
}

func TestABrokenHookPutsEverythingBack(t *testing.T) {
	t.Parallel()
	needDocker(t)
	n := newNotes(t, newServer(t))
	n.must(0, "deploy")
	l := startLoad(t, loadPlan{urls: []string{n.url("/")}, rate: 50})
	for i, b := range brokenHooks {
		t.Run(b.name, func(t *testing.T) {
			before := n.ids()
			n.release(fmt.Sprintf("two-%d", i), b.hook)
			r := n.rhumb("deploy")
			t.Logf("exit %d:\n%s", r.code, r.out)
			if r.code != 3 {
				t.Errorf("exit %d, want 3", r.code)
			}
			for _, text := range append(b.says, "failed and put back") {
				if !strings.Contains(r.out, text) {
					t.Errorf("it doesn't say %q", text)
				}
			}
			if after := n.ids(); b.same && !slices.Equal(before, after) {
				t.Errorf("containers before: %v, after: %v", before, after)
			}
			if err := n.running(map[string]int{"app": 2, "db": 1}); err != nil {
				t.Error(err)
			}
			n.says(n.url("/"), `"Release":"one"`)
		})
	}
	if y := l.end(); y.failed > 0 {
		t.Errorf("meanwhile: %v", y)
	}
}

func TestABrokenPreStopIsReportedAndHoldsNothingUp(t *testing.T) {
	t.Parallel()
	needDocker(t)
	n := newNotes(t, newServer(t))
	n.release("one", `LEAVE=exit 6`)
	n.must(0, "deploy")
	n.release("two", "LEAVE=sleep 1h")
	out := n.must(0, "deploy")
	if !strings.Contains(out, `hook "pre_stop of app" of `+n.name+`@1 failed: exited with 6`) {
		t.Errorf("it doesn't say so:\n%s", out)
	}
	start := time.Now()
	n.must(0, "down")
	if took := time.Since(start); took < 6*time.Second || took > 40*time.Second {
		t.Errorf("down took %s", took)
	}
}
