package e2e

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// mountedCode is an application whose code lies in the project's folder, with a volume.
const mountedCode = `
services:
  app:
    image: debian:12-slim
    command: [sh, /code/run.sh]
    environment: {RELEASE: "${RELEASE}"}
    volumes: ["./code:/code", "data:/data"]
    stop_grace_period: 1s
    x-rhumb: {ready: {timeout: 3s}}
volumes: {data: }
`

const (
	serves = "trap 'exit 0' TERM\nwhile true; do sleep 0.1; done\n"
	breaks = "echo the code is broken\nexit 7\n"
)

var byHand = regexp.MustCompile(`by hand: rhumb (.+)`)

// hinted runs the command that a card proposes, as it is printed.
func (k *stack) hinted(card string) result {
	k.t.Helper()
	m := byHand.FindStringSubmatch(card)
	if m == nil {
		k.t.Fatalf("no command is proposed:\n%s", card)
	}
	start := time.Now()
	r := k.s.rhumb(k.t.TempDir(), strings.Fields(m[1])...)
	k.t.Logf("rhumb %s: exit %d after %.1f s", m[1], r.code, time.Since(start).Seconds())
	return r
}

// volumes returns the names of the stack's volumes.
func (k *stack) volumes() []string {
	k.t.Helper()
	return strings.Fields(docker(k.t, "volume", "ls", "-q", "--filter", "name=^"+k.name))
}

func TestMountedCodeIsReportedOnceAndNotPutBack(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), mountedCode)
	k.env = []string{"RELEASE=1"}
	k.write("code/run.sh", serves)
	k.must(0, "deploy")
	k.env = []string{"RELEASE=2"}
	k.write("code/run.sh", breaks)
	out := k.must(4, "deploy")
	if n := strings.Count(out, "✘ "); n != 1 {
		t.Errorf("%d cards:\n%s", n, out)
	}
	for _, want := range []string{" times: " + k.name + "-app.2.1, " + k.name + "-app.1.1 (", "app.1 exited with 7",
		"; ./code is bind-mounted and not part of a release: the content stays as it is"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q isn't in:\n%s", want, out)
		}
	}
	if r := k.hinted(out); r.code != 7 || !strings.Contains(r.out, "the code is broken") {
		t.Errorf("what the card proposes ends with %d: %s", r.code, r.out)
	}
	if out := k.must(0, "down"); !strings.Contains(out,
		"nothing is left but the volume "+k.name+"_data (rhumb down -p "+k.name+" --volumes removes it)") {
		t.Errorf("down says: %s", out)
	}
	k.must(0, "down", "--volumes")
	if left := k.volumes(); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAStackThatNeverServedCanBeTriedAndRemoved(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), mountedCode)
	k.env = []string{"RELEASE=1"}
	k.write("code/run.sh", breaks)
	out := k.must(3, "deploy")
	if !strings.Contains(out, "nothing of "+k.name+"@1 is left but the volume "+k.name+"_data") {
		t.Errorf("the verdict:\n%s", out)
	}
	if r := k.hinted(out); r.code != 7 || !strings.Contains(r.out, "the code is broken") {
		t.Errorf("what the card proposes ends with %d: %s", r.code, r.out)
	}
	if left := docker(t, "network", "ls", "-q", "--filter", "name=^"+k.name); left != "" {
		t.Errorf("networks are left: %s", left)
	}
	if left := k.containers(); len(left) > 0 {
		t.Errorf("containers are left: %v", left)
	}
	k.must(0, "down", "--volumes")
	if left := k.volumes(); len(left) > 0 {
		t.Errorf("volumes are left: %v", left)
	}
	k.must(1, "down", "--volumes")
}
