package leftlog_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/leftlog"
)

// container makes the log files of a container that has ended.
func container(t *testing.T, id string, rotated int) rhumb.LogWriter {
	t.Helper()
	dir := filepath.Join(t.TempDir(), id)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	w := rhumb.LogWriter{File: filepath.Join(dir, id+"-json.log"), Started: time.Unix(1, 0).UTC(),
		Finished: time.Unix(2, 0).UTC(), Line: rhumb.LogLine{Stack: "shop", Service: "web", Container: id, Release: 3}}
	for i := range rotated + 1 {
		name := w.File
		if i > 0 {
			name += fmt.Sprintf(".%d", i)
		}
		if err := os.WriteFile(name, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "config.v2.json"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestFilesOutliveTheirContainer(t *testing.T) {
	f := leftlog.Folder(filepath.Join(t.TempDir(), "left"))
	if ws, err := f.Writers(); err != nil || len(ws) != 0 {
		t.Errorf("at first: %v, %v", ws, err)
	}
	w := container(t, "abc", 2)
	for range 2 {
		if err := f.Keep(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Dir(w.File)); err != nil {
		t.Fatal(err)
	}
	if err := f.Keep(w); err != nil { // a second try to remove the container
		t.Error(err)
	}
	ws, err := f.Writers()
	if err != nil || len(ws) != 1 {
		t.Fatalf("%v, %v", ws, err)
	}
	for i, suffix := range []string{"", ".1", ".2"} {
		if b, err := os.ReadFile(ws[0].File + suffix); err != nil || string(b) != w.File+suffix {
			t.Errorf("file %d: %q, %v", i, b, err)
		}
	}
	if _, err := os.Stat(filepath.Join(filepath.Dir(ws[0].File), "config.v2.json")); err == nil {
		t.Error("more than the log files is kept")
	}
	w.File = ws[0].File
	if !reflect.DeepEqual(ws[0], w) {
		t.Errorf("it comes back as %+v, want %+v", ws[0], w)
	}
	for range 2 {
		if err := f.Drop("abc"); err != nil {
			t.Error(err)
		}
	}
	if ws, err := f.Writers(); err != nil || len(ws) != 0 {
		t.Errorf("at the end: %v, %v", ws, err)
	}
}

func TestContainersWithoutFilesAreRefused(t *testing.T) {
	f := leftlog.Folder(filepath.Join(t.TempDir(), "left"))
	gone := container(t, "gone", 0)
	if err := os.RemoveAll(filepath.Dir(gone.File)); err != nil {
		t.Fatal(err)
	}
	outside := container(t, "x", 0)
	outside.Line.Container = "../x"
	for _, c := range []struct {
		w    rhumb.LogWriter
		code rhumb.Code
	}{
		{rhumb.LogWriter{Line: rhumb.LogLine{Container: "abc"}}, rhumb.Unsupported},
		{outside, rhumb.Unsupported},
		{gone, rhumb.Unavailable},
	} {
		if err := f.Keep(c.w); rhumb.ErrorCode(err) != c.code {
			t.Errorf("%s: %v, want %s", c.w.Line.Container, err, c.code)
		}
	}
	if entries, _ := os.ReadDir(string(f)); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	if err := f.Drop("../left"); err != nil {
		t.Error(err)
	}
}

func TestAnotherDiskIsUnsupported(t *testing.T) {
	if _, err := os.Stat("/dev/shm"); err != nil {
		t.Skip("there is no second file system")
	}
	dir, err := os.MkdirTemp("/dev/shm", "leftlog-")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(dir)
	if err := leftlog.Folder(dir).Keep(container(t, "abc", 1)); rhumb.ErrorCode(err) != rhumb.Unsupported {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestWhatCanNotBeCollectedIsRemoved(t *testing.T) {
	f := leftlog.Folder(t.TempDir())
	for name, content := range map[string]string{"abc.new": "{}", "damaged": "{",
		"other": `{"Line":{"Container":"abc"}}`} {
		if err := os.Mkdir(filepath.Join(string(f), name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(string(f), name, "container.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want ...string) {
		t.Helper()
		if ws, err := f.Writers(); err != nil || len(ws) != 0 {
			t.Errorf("listed: %v, %v", ws, err)
		}
		entries, err := os.ReadDir(string(f))
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("left are %q, %v; want %q", names, err, want)
		}
	}
	has("abc.new") // it may be being filled
	old := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(filepath.Join(string(f), "abc.new"), old, old); err != nil {
		t.Fatal(err)
	}
	has()
	if err := f.Keep(container(t, "abc", 0)); err != nil {
		t.Error(err)
	}
	if ws, err := f.Writers(); err != nil || len(ws) != 1 {
		t.Errorf("%v, %v", ws, err)
	}
}

func TestTooManyContainersAreRefused(t *testing.T) {
	f := leftlog.Folder(t.TempDir())
	for i := range 1000 {
		if err := os.Mkdir(filepath.Join(string(f), fmt.Sprint(i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Keep(container(t, "abc", 0)); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("got %v", err)
	}
}
