package install

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rhumb"
)

func TestVersionsAreComparedAsNumbers(t *testing.T) {
	for _, c := range []struct {
		a, b  string
		older bool
	}{
		{"v0.9.0", "v0.10.0", true}, {"v0.10.0", "v0.9.0", false}, {"v1.0.0", "v1.0.0", false},
		{"1.2.3", "v1.2.4-3-gabc", true},
		{"v1.2.4-3-gabc", "v1.2.4", false}, {"dev", "v1.0.0", false}, {"v1.0.0", "abc123", false}, {"v1.0", "v2.0.0", false},
	} {
		if got := (Program{Version: c.a}).OlderThan(Program{Version: c.b}); got != c.older {
			t.Errorf("%s older than %s: %v", c.a, c.b, got)
		}
	}
}

// program writes a program that prints a version and a schema.
func program(t *testing.T, name, version string, schema int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	script := fmt.Sprintf("#!/bin/sh\n# rhumb %s\necho '{\"client\":\"%s\",\"schema\":%d}'\n", version, version, schema)
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAProgramIsReadOnlyIfItPrintsItsVersion(t *testing.T) {
	dir := t.TempDir()
	p, err := ReadProgram(t.Context(), program(t, "new", "v1.2.3", 7), dir)
	if err != nil || p.Version != "v1.2.3" || p.Schema != 7 {
		t.Errorf("got %+v, %v", p, err)
	}
	for name, content := range map[string][]byte{
		"text": []byte("hello"), "nothing": nil, "fails": []byte("#!/bin/sh\nexit 1\n"),
		"another": []byte("#!/bin/sh\necho '{}'\n"),
		"arm": append([]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xf3\x00\x01\x00\x00\x00"),
			make([]byte, 40)...),
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadProgram(t.Context(), path, dir); rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

func TestAnArchiveIsReadOnlyWithItsChecksum(t *testing.T) {
	content, err := os.ReadFile(program(t, "rhumb", "v2.0.0", 1))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	_ = w.WriteHeader(&tar.Header{Name: "rhumb_v2.0.0/README.md", Mode: 0o644, Typeflag: tar.TypeReg})
	_ = w.WriteHeader(&tar.Header{Name: "rhumb_v2.0.0/rhumb", Mode: 0o755, Size: int64(len(content)),
		Typeflag: tar.TypeReg})
	_, _ = w.Write(content)
	_ = w.Close()
	_ = z.Close()
	dir := t.TempDir()
	archive := filepath.Join(dir, "a.tar.gz")
	take := func(b []byte, sums string) error {
		t.Helper()
		if err := os.WriteFile(archive, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "SHA256SUMS"), []byte(sums), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := ReadProgram(t.Context(), archive, dir)
		if err == nil && p.Version != "v2.0.0" {
			t.Errorf("it is %s", p.Version)
		}
		return err
	}
	right := fmt.Sprintf("%x  a.tar.gz\n", sha256.Sum256(b.Bytes()))
	if err := take(b.Bytes(), right); err != nil {
		t.Error(err)
	}
	flipped := bytes.Clone(b.Bytes())
	flipped[len(flipped)/2] ^= 1
	for name, err := range map[string]error{
		"flipped": take(flipped, right), "cut off": take(b.Bytes()[:b.Len()-1], right),
		"another's": take(b.Bytes(), strings.ReplaceAll(right, "a.tar", "b.tar")),
		"no sums":   take(b.Bytes(), ""),
	} {
		if rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
