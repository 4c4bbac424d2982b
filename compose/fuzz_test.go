package compose

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"rhumb"
)

// FuzzLoad passes arbitrary files to Load (run it with -fuzzminimizetime 10x: the seeds are large). Load must return
// a stack whose printed form loads as the same stack, or an error of rhumb's own.
func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/stacks/*/*compose.y*ml")
	if err != nil || len(files) == 0 {
		f.Fatalf("no stacks: %v", err)
	}
	for _, name := range []string{"guestbook", "long", "merge", "environments", "profiles"} {
		files = append(files, filepath.Join("testdata", name, "compose.yaml"))
	}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte("services: {web: {ports: !override [\"80:80\"]}}"), "A=1")
	}
	for _, a := range archives(f) {
		f.Add(a.Files[0].Data, []byte("services: {api: {image: api}}"), "TAG=1")
	}
	f.Add([]byte("services:\n  a: {image: &x [*x], <<: &m {<<: *m}}"), []byte("services: {a: !reset null}"), "")
	f.Add([]byte("include: [compose.yaml]\nservices: {a: {extends: a, image: '${A:-${B:?no}}'}}"), []byte("---\n---\n{}"),
		"A")
	f.Add([]byte("services: {a: {image: x, env_file: /dev/zero, x-rhumb: {routes: [a/b]}}}\nname: x"),
		[]byte("volumes: {a: {external: {name: b}}}"), "A=$A")
	f.Fuzz(func(t *testing.T, first, second []byte, env string) {
		dir := t.TempDir()
		write(t, dir, "one.yaml", string(first))
		write(t, dir, "two.yaml", string(second))
		write(t, dir, ".env", env)
		p, err := Load(t.Context(), Options{Dir: dir, Files: []string{"one.yaml", "-"}, Stdin: bytes.NewReader(second),
			Environ: []string{env}, Profiles: []string{"*"}, AllowUnset: true})
		var one *rhumb.Error
		switch {
		case err == nil && (p == nil || p.Stack.Name == "" || len(p.Stack.Services) == 0):
			t.Errorf("no error, and no stack")
		case err == nil:
			againFrom(t, p.Dir, Options{Environ: []string{env}}, p)
		case err != nil && !errors.As(err, &one):
			t.Errorf("a foreign error: %v", err)
		case err != nil && (one.Code != rhumb.Invalid || one.Msg == ""):
			t.Errorf("%s: %q", one.Code, one.Msg)
		}
	})
}
