package atomicfile_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"rhumb/internal/atomicfile"
)

func TestAFileIsWrittenWithItsContentAndMode(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table.json")
	if err := atomicfile.Write(path, []byte("one"), 0o640); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "one" {
		t.Fatalf("read %q, %v", got, err)
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Fatalf("mode %v, %v", st.Mode(), err)
	}
}

func TestAReaderNeverSeesAPart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	a, b := bytes.Repeat([]byte("a"), 1<<16), bytes.Repeat([]byte("b"), 1<<17)
	if err := atomicfile.Write(path, a, 0o600); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 50 {
			data := a
			if i%2 == 0 {
				data = b
			}
			if err := atomicfile.Write(path, data, 0o600); err != nil {
				t.Error(err)
			}
		}
	})
	for range 200 {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, a) && !bytes.Equal(got, b) {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
	}
	wg.Wait()
}

func TestAFailureLeavesOnlyTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	// The path is a folder, so the rename fails after the temporary file was written.
	if err := os.MkdirAll(filepath.Join(path, "inside"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("x"), 0o600); err == nil {
		t.Fatal("wrote over a folder")
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Fatalf("left behind: %v, %v", names, err)
	}
}

func TestAMissingFolderIsAnError(t *testing.T) {
	if err := atomicfile.Write(filepath.Join(t.TempDir(), "no", "f"), nil, 0o600); err == nil {
		t.Fatal("no error")
	}
}

func TestAFailingWriterLeavesTheOldContent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := atomicfile.Write(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := atomicfile.Copy(path, io.MultiReader(strings.NewReader("new, but"), iotest.ErrReader(broken)), 0o600)
	if !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if got, _ := os.ReadFile(path); string(got) != "old" {
		t.Errorf("the file holds %q", got)
	}
	if err := atomicfile.Copy(path, strings.NewReader("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(path); string(got) != "new" {
		t.Errorf("the file holds %q", got)
	}
}

func TestAFileLargerThanTheLimitIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for _, content := range []string{"", "abc"} { // the longer one stays for what follows
		limit := int64(len(content))
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if b, err := atomicfile.Read(path, limit); err != nil || b == nil || string(b) != content {
			t.Errorf("%q was read as %q, %v", content, b, err)
		}
	}
	if b, err := atomicfile.Read(path, 2); err == nil || b != nil {
		t.Errorf("of a longer one %q was read, %v", b, err)
	}
	if _, err := atomicfile.Read(path+"2", 2); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of none: %v", err)
	}
}
