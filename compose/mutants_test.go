package compose

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Mutants of the stacks in testdata are loaded. Every mistake must have its line, and no load may take long.
// RHUMB_TEST_MUTANTS sets their number.
func TestMistakesOfMutantsAreReportedWithTheirLine(t *testing.T) {
	t.Parallel()
	folders := stackFolders(t, "testdata/mutants")
	count := 400
	if testing.Short() {
		count = 100
	}
	if s := os.Getenv("RHUMB_TEST_MUTANTS"); s != "" {
		count, _ = strconv.Atoi(s)
	} else if os.Getenv("RHUMB_TEST_LONG") != "" {
		count = 20_000
	}
	r := seeded(t)
	if count > 400 {
		folders = append(folders, stackFolders(t, "testdata/stacks")...)
	}
	var m mutants
	for _, dir := range folders {
		m.stacks = append(m.stacks, copied(t, dir))
	}
	for range count {
		m.load(t, r)
		if t.Failed() && m.bad >= 20 {
			break
		}
	}
	t.Logf("%d of %d were refused, %d told badly; the slowest took %v of the processor:\n%.400s", m.refused, m.loaded,
		m.bad, m.slowest.Round(time.Millisecond), m.slow)
	if count >= 20_000 && m.slowest > time.Second { // far more than needed, for slow machines
		t.Errorf("one took %v", m.slowest)
	}
}

// cpu returns the CPU time of the test's thread, so that other tests and processes don't count. Load starts no
// goroutine.
func cpu(t *testing.T) time.Duration {
	t.Helper()
	runtime.LockOSThread() // until the test ends
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_THREAD, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// mutants counts the results.
type mutants struct {
	stacks               []mutantStack
	loaded, refused, bad int
	slowest              time.Duration
	slow                 string
}

// mutantStack is a stack's folder and the files to mutate, the Compose file first.
type mutantStack struct {
	name  string
	dir   string
	names []string
	texts map[string]string
}

func stackFolders(t *testing.T, dir string) []string {
	t.Helper()
	dirs, err := filepath.Glob(dir + "/*")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no stacks in %s: %v", dir, err)
	}
	return dirs
}

// copied copies a stack's folder, because its files are overwritten.
func copied(t *testing.T, dir string) mutantStack {
	t.Helper()
	s := mutantStack{name: filepath.Base(dir), dir: t.TempDir(), texts: map[string]string{}}
	if err := os.CopyFS(s.dir, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	err := fs.WalkDir(os.DirFS(s.dir), ".", func(name string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(name); err == nil && !d.IsDir() && (ext == ".yaml" || ext == ".yml" || ext == ".env") {
			s.texts[name] = mustRead(t, filepath.Join(s.dir, name))
			s.names = append(s.names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (m *mutants) load(t *testing.T, r *rand.Rand) {
	t.Helper()
	s := m.stacks[r.IntN(len(m.stacks))]
	name := s.names[r.IntN(len(s.names))]
	text := s.texts[name]
	for range 1 + r.IntN(3) {
		text = mutated(text, r)
	}
	write(t, s.dir, name, text)
	begin := cpu(t)
	_, err := Load(t.Context(),
		Options{Dir: s.dir, AllowUnset: r.IntN(2) == 0, Profiles: []string{"*"},
			Environ: []string{"DB_PASSWORD=x", "DJANGO_KEY=x"}})
	took := cpu(t) - begin
	write(t, s.dir, name, s.texts[name])
	m.loaded++
	if err != nil {
		m.refused++
	}
	if took > m.slowest {
		m.slowest, m.slow = took, text
	}
	if wrong := badlyTold(err); wrong != "" {
		m.bad++
		t.Errorf("%s: told %.700q of %s of %s:\n%s", wrong, told(err), name, s.name, text)
	}
}

// mutated changes a file in one of the ways in which users break files, or in one that only a fuzzer finds.
func mutated(text string, r *rand.Rand) string {
	lines := strings.Split(text, "\n")
	i := r.IntN(len(lines))
	key, _, isKey := strings.Cut(lines[i], ":")
	switch value := wrongValues[r.IntN(len(wrongValues))]; r.IntN(20) {
	case 0:
		lines = slices.Delete(lines, i, i+1)
	case 1:
		lines = slices.Insert(lines, i, lines[r.IntN(len(lines))])
	case 2:
		j := r.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
	case 3:
		lines[i] = strings.Repeat(" ", 1+r.IntN(4)) + lines[i]
	case 4:
		lines[i] = strings.TrimPrefix(lines[i], strings.Repeat(" ", 1+r.IntN(2)))
	case 5:
		lines[i] = strings.Replace(lines[i], "  ", "\t", 1)
	case 6, 7, 8, 9:
		if isKey {
			lines[i] = key + ": " + value
		}
	case 10:
		if isKey {
			lines[i] = strings.Repeat(" ", len(key)-len(strings.TrimLeft(key, " "))) + strings.TrimSpace(value) + ":" +
				strings.TrimPrefix(lines[i], key+":")
		}
	case 11:
		lines[i] = strings.Repeat(" ", len(lines[i])-len(strings.TrimLeft(lines[i], " "))) + "- " + value
	case 12:
		if isKey {
			lines = slices.Insert(lines, i+1,
				strings.Repeat(" ", len(key)-len(strings.TrimLeft(key, " "))+2)+"<<: *"+[]string{"base", "env", "none"}[r.IntN(3)])
		}
	case 13:
		lines = append(lines,
			[]string{"---", "...", "services:", "--- " + value, "x-a: " + value, "jobs: {a: " + value + "}", "models: " + value,
				"version: " + value}[r.IntN(8)])
	case 14:
		lines = slices.Insert(lines, 0, bomb(2+r.IntN(10), 2+r.IntN(8)))
	case 15:
		lines = lines[:i]
	default:
		return mutatedBytes(text, r)
	}
	return strings.Join(lines, "\n")
}

// mutatedBytes changes a few bytes.
func mutatedBytes(text string, r *rand.Rand) string {
	b := []byte(text)
	if len(b) == 0 {
		return text
	}
	at := r.IntN(len(b))
	const letters = "\"'{}[],:#&*!|>%@`?-~$\\\t\n \x00\x01\x1b\x80\xff0aZ"
	switch r.IntN(4) {
	case 0:
		return string(slices.Delete(b, at, min(at+1+r.IntN(3), len(b))))
	case 1:
		b[at] = letters[r.IntN(len(letters))]
	case 2:
		b = slices.Insert(b, at, letters[r.IntN(len(letters))])
	case 3:
		to := min(at+r.IntN(40), len(b))
		b = slices.Insert(b, at, bytes.Clone(b[at:to])...)
	}
	return string(b)
}

// bomb writes aliases of aliases.
func bomb(levels, width int) string {
	var b strings.Builder
	b.WriteString("x-b0: &b0 {k: v}")
	for i := 1; i < levels; i++ {
		b.WriteString("\nx-b" + strconv.Itoa(i) + ": &b" + strconv.Itoa(i) + " [" +
			strings.Repeat("*b"+strconv.Itoa(i-1)+", ", width) + "]")
	}
	return b.String()
}
