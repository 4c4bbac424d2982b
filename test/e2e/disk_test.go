package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestAFullDiskStopsDeploymentsAndNothingElse(t *testing.T) {
	needDocker(t)
	s := idleServer(t, binary)
	smallDisk(t, s.data, "64m")
	s.start()
	s.await()
	k := newStack(t, s, two)
	k.must(0, "deploy")
	k.write("compose.yaml", strings.Replace(two, "RELEASE: one", "RELEASE: two", 1))
	k.must(0, "deploy")

	ballast := filepath.Join(s.data, "ballast")
	nearlyFill(t, ballast)
	k.write("compose.yaml", strings.Replace(two, "RELEASE: one", "RELEASE: three", 1))
	out := k.must(1, "deploy")
	for _, want := range []string{"not enough disk space", s.data, "% full", "hint", "rhumb doctor"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
	k.write("api/Dockerfile", "FROM rhumb-test/app:1\n")
	k.write("built.yaml", "services:\n  app:\n    build: ./api\n")
	if r := s.rhumbEnv(k.dir, []string{"NAME=" + k.name}, "deploy", "-p", k.name, "-f", "built.yaml"); r.code != 1 ||
		!strings.Contains(r.out, "not enough disk space") {
		t.Errorf("a build exits with %d:\n%s", r.code, r.out)
	}
	if left := docker(t, "images", "-q", k.name+"-app"); left != "" {
		t.Errorf("it was built all the same: %s", left)
	}

	k.says(k.url("/"), `"Release":"two"`) // serving goes on
	victim := strings.Fields(docker(t, "ps", "-q", "--no-trunc", "--filter", "name=^"+k.name+"-app"))[0]
	docker(t, "kill", victim)
	eventually(t, 30*time.Second, "healing goes on", func() error { return k.running(map[string]int{"app": 2}) })
	k.must(0, "rollback")
	k.says(k.url("/"), `"Release":"one"`)

	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	k.must(0, "deploy")
	k.says(k.url("/"), `"Release":"three"`)
	nearlyFill(t, ballast)
	k.must(0, "down")
}

// nearlyFill writes a file that leaves 3 MB of its disk.
func nearlyFill(t *testing.T, file string) {
	t.Helper()
	var disk unix.Statfs_t
	if err := unix.Statfs(filepath.Dir(file), &disk); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, make([]byte, int64(disk.Bavail)*disk.Bsize-3<<20), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheImagesOfABuiltStackGoWithIt(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, "services:\n  app:\n    build: ./app\n    deploy: {replicas: 1}\n")
	images := func() string {
		return docker(t, "images", "--format", "{{.Repository}}", "--filter", "reference=*/*/"+k.name+"-*") +
			docker(t, "images", "--format", "{{.Repository}}", "--filter", "reference=*/"+k.name+"-*") +
			docker(t, "images", "--format", "{{.Repository}}", "--filter", "reference="+k.name+"-*")
	}
	for _, label := range []string{"one", "two"} {
		k.write("app/Dockerfile", "FROM rhumb-test/app:1\nLABEL made="+k.name+"-"+label+"\n")
		k.must(0, "deploy")
	}
	if got := images(); strings.Count(got, "rhumb.local/built/"+k.name+"-app") != 2 ||
		strings.Count(got, "rhumb.local/"+k.name+"-app") != 2 {
		t.Errorf("two images that were built, each of a release:\n%s", got)
	}
	k.must(0, "down")
	eventually(t, 20*time.Second, "no image is left", func() error {
		if left := images(); left != "" {
			return fmt.Errorf("left:\n%s", left)
		}
		return nil
	})
}
