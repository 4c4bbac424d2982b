package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rhumb"
	"rhumb/compose/internal/convert"
)

var update = flag.Bool("update", false, "write the golden files and the document")

// golden is the part of a project in a golden file.
type golden struct {
	Stack    rhumb.Stack
	Builds   map[string]convert.Context
	Files    []string
	Warnings []rhumb.Note
}

func TestStacksMatchTheirGoldenFiles(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		folder string
		opts   Options
	}{
		"guestbook":               {"guestbook", Options{Environ: []string{"TOKEN=abc"}}},
		"long":                    {"long", Options{Environ: []string{"CFG=x=1"}}},
		"environments":            {"environments", Options{}},
		"environments.production": {"environments", Options{Env: "production"}},
		"merge":                   {"merge", Options{Files: []string{"compose.yaml", "second.yaml"}}},
		"profiles":                {"profiles", Options{}},
		"profiles.debug":          {"profiles", Options{Profiles: []string{"debug"}, AllowUnset: true, Name: "other"}},
		"stdin": {"profiles",
			Options{Files: []string{"-", "extra.yaml"}, Environ: []string{"COMPOSE_PROJECT_NAME=piped", "DEBUG_TAG=1"},
				Stdin: strings.NewReader("services:\n  web: {image: '${IMAGE:-web}'}\n")}},
		"compose_file": {"profiles",
			Options{Environ: []string{"COMPOSE_FILE=compose.yaml:extra.yaml", "COMPOSE_PROFILES=debug", "DEBUG_TAG=1"}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, err := filepath.Abs(filepath.Join("testdata", tc.folder))
			if err != nil {
				t.Fatal(err)
			}
			tc.opts.Dir = dir
			p, err := Load(t.Context(), tc.opts)
			if err != nil {
				t.Fatalf("%v", err)
			}
			if p.Dir != dir {
				t.Errorf("the project folder is %s, not %s", p.Dir, dir)
			}
			b, err := json.MarshalIndent(golden{p.Stack, p.Builds, p.Files, p.Warnings}, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			compareGolden(t, filepath.Join("testdata", name+".json"),
				append(bytes.ReplaceAll(b, []byte(dir), []byte("DIR")), '\n'))
			compareGolden(t, filepath.Join("testdata", name+".resolved"),
				bytes.ReplaceAll(p.Resolved, []byte(dir), []byte("DIR")))
		})
	}
}

func compareGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v: run go test ./compose -update", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", file, diff)
	}
}

func TestLoadingTwiceReturnsTheSameStack(t *testing.T) {
	t.Parallel()
	for range 5 {
		var first []byte
		for range 2 {
			p, err := Load(t.Context(), Options{Dir: "testdata/long", Environ: []string{"CFG=1"}})
			if err != nil {
				t.Fatal(err)
			}
			b, err := json.Marshal(p.Stack)
			if err != nil {
				t.Fatal(err)
			}
			if first != nil && !bytes.Equal(first, b) {
				t.Fatalf("two loads differ:\n%s", cmp.Diff(string(first), string(b)))
			}
			first = b
		}
	}
}

func TestTheFileIsFoundInAParentFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yml", "services: {a: {image: x}}")
	write(t, dir, "deep/er/README", "")
	p, err := Load(t.Context(), Options{Dir: filepath.Join(dir, "deep", "er")})
	if err != nil {
		t.Fatal(err)
	}
	if p.Dir != dir || len(p.Files) != 1 || p.Files[0] != "../../compose.yml" {
		t.Errorf("found %v in %s", p.Files, p.Dir)
	}
}

func TestAnOverrideFileIsMergedWithoutAnEnvironment(t *testing.T) {
	p, err := Load(t.Context(), Options{Dir: "testdata/environments"})
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Files) != 2 || len(p.Stack.Services[0].Container.Mounts) != 1 {
		t.Errorf("merged %v", p.Files)
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Load(ctx, Options{Dir: "testdata/guestbook", Environ: []string{"TOKEN=1"}}); err == nil {
		t.Error("a cancelled load gave a stack")
	}
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// told returns an error's places, messages and hints, one line each.
func told(err error) []string {
	var list rhumb.Errors
	var one *rhumb.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list):
	case errors.As(err, &one):
		list = rhumb.Errors{one}
	default:
		return []string{"foreign: " + err.Error()}
	}
	var lines []string
	for _, e := range list {
		line := e.Error()
		if e.Code != rhumb.Invalid {
			line = string(e.Code) + ": " + line
		}
		if e.Hint != "" {
			line += " | " + e.Hint
		}
		lines = append(lines, line)
	}
	return lines
}
