package compose

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"rhumb/compose/internal/diskfile"
)

// Each archive of testdata/mistakes has wrong files and all mistakes reported for them: "place: message | hint".
func TestMistakesHaveAPlaceAndAHint(t *testing.T) {
	t.Parallel()
	for name, a := range archives(t) {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			t.Parallel()
			o := archiveOptions(t, a)
			want := ""
			for _, f := range a.Files {
				if f.Name == "want" {
					want = string(f.Data)
					continue
				}
				write(t, o.Dir, f.Name, string(f.Data))
			}
			_, err := Load(t.Context(), o)
			got := strings.ReplaceAll(strings.Join(append(told(err), ""), "\n"), o.Dir, "DIR")
			if got == "" {
				t.Error("no mistake was found")
			}
			if *update {
				a.Files[len(a.Files)-1].Data = []byte(got)
				if err := os.WriteFile(name, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func archives(t testing.TB) map[string]*txtar.Archive {
	t.Helper()
	names, err := filepath.Glob("testdata/mistakes/*.txtar")
	if err != nil || len(names) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	all := map[string]*txtar.Archive{}
	for _, name := range names {
		if all[name], err = txtar.ParseFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// archiveOptions parses the line "options: name=x env=y" in an archive's comment.
func archiveOptions(t *testing.T, a *txtar.Archive) Options {
	t.Helper()
	o := Options{Dir: t.TempDir()}
	_, line, _ := strings.Cut(string(a.Comment), "options: ")
	line, _, _ = strings.Cut(line, "\n")
	for word := range strings.FieldsSeq(line) {
		switch k, v, _ := strings.Cut(word, "="); k {
		case "name":
			o.Name = v
		case "env":
			o.Env = v
		case "files":
			o.Files = strings.Split(v, ",")
		case "allow-unset":
			o.AllowUnset = true
		default:
			t.Fatalf("there is no option %s", k)
		}
	}
	return o
}

func TestLargeInputIsRefusedBeforeItIsParsed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "compose.yaml", "services: {a: {image: x, configs: [c]}}\nconfigs: {c: {file: big}}")
	write(t, dir, "fifty.yaml", strings.Repeat("# "+strings.Repeat("x", 1021)+"\n", 50<<10))
	write(t, dir, "big", strings.Repeat("x", diskfile.MaxContent+1))
	for name, tc := range map[string]struct {
		opts Options
		want string
	}{
		"file":     {Options{Files: []string{"fifty.yaml"}}, "fifty.yaml: is larger than 5 MB"},
		"stdin":    {Options{Files: []string{"-"}, Stdin: endless{}}, "stdin: is larger than 5 MB"},
		"env file": {Options{EnvFiles: []string{"fifty.yaml"}}, "fifty.yaml: is larger than 1 MB"},
		"config":   {Options{}, "compose.yaml:2: configs.c.file: big: is larger than 500 KB"},
	} {
		t.Run(name, func(t *testing.T) {
			tc.opts.Dir = dir
			_, err := Load(t.Context(), tc.opts)
			if diff := cmp.Diff([]string{tc.want}, told(err)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestABinaryFileIsNotYAML(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yaml", "PK\x00\x03\x04")
	_, err := Load(t.Context(), Options{Dir: dir})
	if lines := told(err); len(lines) != 1 || !strings.HasPrefix(lines[0], "compose.yaml:1: not YAML: ") {
		t.Errorf("told %q", lines)
	}
}

// endless is a reader that never ends.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
