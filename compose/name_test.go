package compose_test

import (
	"os"
	"path/filepath"
	"testing"

	"rhumb"
	"rhumb/compose"
)

func TestTheNameIsFoundEvenIfTheFilesHaveMistakes(t *testing.T) {
	dir := t.TempDir()
	file := "name: shop\nservices:\n  web:\n    image: ${UNSET}\n    nonsense: 1\n"
	if err := os.WriteFile(filepath.Join(dir, "compose.yaml"), []byte(file), 0o644); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(inner, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, d := range []string{dir, inner} {
		n, found, err := compose.Name(compose.Options{Dir: d})
		if n != (compose.Named{Stack: "shop", Dir: dir}) || !found || err != nil {
			t.Errorf("in %s: got %+v, %t, %v", d, n, found, err)
		}
	}
	if n, _, err := compose.Name(compose.Options{Dir: dir, Name: "other"}); n.Stack != "other" || n.ByFolder ||
		err != nil {
		t.Errorf("with -p: got %+v, %v", n, err)
	}
}

func TestAFoldersNameAndAChosenNameAreDistinguished(t *testing.T) {
	for _, c := range []struct {
		file, env string
		o         compose.Options
		want      bool
	}{
		{file: "services: {web: {image: x}}", want: true},
		{file: "services: {web: {image: x}}", o: compose.Options{Name: "blog"}},
		{file: "services: {web: {image: x}}", o: compose.Options{Environ: []string{"COMPOSE_PROJECT_NAME=blog"}}},
		{file: "services: {web: {image: x}}", env: "COMPOSE_PROJECT_NAME=blog"},
		{file: "name: blog\nservices: {web: {image: x}}"},
	} {
		c.o.Dir = t.TempDir()
		for name, content := range map[string]string{"compose.yaml": c.file, ".env": c.env} {
			if err := os.WriteFile(filepath.Join(c.o.Dir, name), []byte(content), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		n, _, err := compose.Name(c.o)
		if err != nil || n.ByFolder != c.want {
			t.Errorf("%q, %q, %+v: got %+v, %v", c.file, c.env, c.o, n, err)
		}
		p, err := compose.Load(t.Context(), c.o)
		if err != nil || p.Named != n || p.Stack.Name != n.Stack {
			t.Errorf("loaded %q: %+v, %v", c.file, p, err)
		}
	}
}

func TestWithoutAComposeFileThereIsNoNameAndNoError(t *testing.T) {
	if n, found, err := compose.Name(compose.Options{Dir: t.TempDir()}); n != (compose.Named{}) || found || err != nil {
		t.Errorf("got %+v, %t, %v", n, found, err)
	}
	if _, found, err := compose.Name(compose.Options{Dir: t.TempDir(), Files: []string{"mine.yaml"}}); !found ||
		rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("one that is named and missing: got %t, %v", found, err)
	}
}
