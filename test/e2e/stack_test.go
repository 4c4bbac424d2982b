package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb/internal/porttest"
)

// stack is one stack of a test: a folder with Compose files, a name of its own and a published port.
type stack struct {
	t    *testing.T
	s    *server
	dir  string
	name string
	port int
	env  []string // beside PORT and NAME, for interpolation
	file []string // -f flags
}

// newStack makes a stack that goes when the test ends. The Compose text may use ${PORT}.
func newStack(t *testing.T, s *server, compose string) *stack {
	t.Helper()
	k := &stack{t: t, s: s, dir: t.TempDir(), name: fmt.Sprintf("e2e%06x", rand.IntN(1<<24)), port: porttest.Free(t)}
	k.write("compose.yaml", compose)
	t.Cleanup(k.remove)
	return k
}

// remove takes the stack down, and then away whatever is left of it.
func (k *stack) remove() {
	r := k.rhumb("down", "--volumes")
	if r.code != 0 && !strings.Contains(r.out, "isn't deployed") {
		k.t.Logf("rhumb down exits with %d:\n%s", r.code, r.out)
	}
	for kind, list := range map[string][]string{
		"container": {"ps", "-aq", "--filter", "name=^" + k.name},
		"network":   {"network", "ls", "-q", "--filter", "name=^" + k.name},
		"volume":    {"volume", "ls", "-q", "--filter", "name=^" + k.name},
	} {
		out, err := exec.Command("docker", list...).Output()
		if err != nil {
			continue
		}
		for _, id := range strings.Fields(string(out)) {
			if r.code == 0 {
				k.t.Errorf("down left a %s: %s", kind, id)
			}
			_ = exec.Command("docker", kind, "rm", "-f", id).Run()
		}
	}
	k.removeImages()
}

// removeImages removes the images with the stack's name. Releases keep them, and built images stay for a while after
// their releases.
func (k *stack) removeImages() {
	for _, names := range []string{k.name + "*", "rhumb.local/" + k.name + "*", "rhumb.local/built/" + k.name + "*"} {
		out, err := exec.Command("docker", "images", "--format", "{{.Repository}}:{{.Tag}}", "--filter",
			"reference="+names).Output()
		if err != nil {
			continue
		}
		for _, ref := range strings.Fields(string(out)) {
			_ = exec.Command("docker", "rmi", ref).Run()
		}
	}
}

// write writes a file of the stack's folder.
func (k *stack) write(name, content string) {
	k.t.Helper()
	path := filepath.Join(k.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		k.t.Fatal(err)
	}
}

// rhumb runs a command about the stack.
func (k *stack) rhumb(verb string, args ...string) result {
	all := append([]string{verb, "-p", k.name}, k.file...)
	env := append([]string{fmt.Sprintf("PORT=%d", k.port), "NAME=" + k.name}, k.env...)
	return k.s.rhumbEnv(k.dir, env, append(all, args...)...)
}

// must runs a command that has to end with the given exit code.
func (k *stack) must(code int, verb string, args ...string) string {
	k.t.Helper()
	start := time.Now()
	r := k.rhumb(verb, args...)
	if r.code != code {
		k.t.Fatalf("rhumb %s exits with %d, want %d:\n%s", verb, r.code, code, r.out)
	}
	k.t.Logf("rhumb %s: exit %d after %.1f s", verb, r.code, time.Since(start).Seconds())
	return r.out
}

func (k *stack) url(path string) string { return fmt.Sprintf("http://127.0.0.1:%d%s", k.port, path) }

func (k *stack) entryURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", k.s.entry, path)
}

// containers returns the names of the stack's containers, including dead ones.
func (k *stack) containers() []string {
	k.t.Helper()
	return strings.Fields(docker(k.t, "ps", "-a", "--format", "{{.Names}}", "--filter", "name=^"+k.name+"-"))
}

// fetch returns the answer of a URL, on a connection of its own.
func fetch(url string) (int, string, error) {
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, string(body), err
}

// says checks that a URL answers 200 with a body that contains the text.
func (k *stack) says(url, text string) {
	k.t.Helper()
	code, body, err := fetch(url)
	if err != nil || code != http.StatusOK || !strings.Contains(body, text) {
		k.t.Fatalf("%s answers %d %q (%v), want %q in it", url, code, body, err, text)
	}
}
