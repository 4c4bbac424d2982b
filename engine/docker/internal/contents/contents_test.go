package contents

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"rhumb"
)

// small gives a store in 64 kB of memory.
func small(t *testing.T) *Store {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small memory file system")
	}
	folder := filepath.Join(t.TempDir(), "files")
	if err := os.Mkdir(folder, 0o711); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("rhumb-test", folder, "tmpfs", 0, "size=64k,nr_inodes=8,mode=0711"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(folder, unix.MNT_DETACH) })
	return New(folder)
}

// secret gives a spec that mounts one secret of that size.
func secret(name string, size int) *rhumb.ReplicaSpec {
	s := &rhumb.ReplicaSpec{Service: "web", Files: []rhumb.File{{Kind: rhumb.FileSecret, Name: name, Content: bytes.Repeat([]byte(name[:1]), size)}}}
	s.Container.Mounts = []rhumb.Mount{{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: name, Target: "/run/secrets/" + name}}
	return s
}

// held lists what lies below a store's folder.
func held(t *testing.T, s *Store) []string {
	t.Helper()
	var paths []string
	err := filepath.WalkDir(s.Folder, func(path string, _ fs.DirEntry, err error) error {
		if path != s.Folder {
			paths = append(paths, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

func TestWhereThereIsNoMemoryLeftItSaysSoAndLeavesNothing(t *testing.T) {
	s := small(t)
	refused := func(spec *rhumb.ReplicaSpec, before int) {
		t.Helper()
		_, err := s.Place(spec)
		if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), "service web: the secret "+spec.Files[0].Name+": the memory for configs and secrets, "+s.Folder+", is full") ||
			!strings.Contains(rhumb.ErrorHint(err), "df -h "+s.Folder+" ") || strings.Contains(rhumb.ErrorHint(err), "%!") {
			t.Errorf("%v; hint: %s", err, rhumb.ErrorHint(err))
		}
		if now := held(t, s); len(now) != before {
			t.Errorf("left: %v", now)
		}
	}
	refused(secret("big", 100<<10), 0)
	first, err := s.Place(secret("key", 40<<10))
	if err != nil {
		t.Fatal(err)
	}
	refused(secret("other", 40<<10), 2)
	for i := range 2 { // till the inodes are used up
		if _, err := s.Place(secret(string(rune('a'+i)), 1)); err != nil {
			t.Fatal(err)
		}
	}
	refused(secret("z", 1), 6)
	if got, err := os.ReadFile(first["/run/secrets/key"]); err != nil || len(got) != 40<<10 {
		t.Errorf("what was there has %d bytes, %v", len(got), err)
	}
	if err := s.Sweep(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Place(secret("other", 40<<10)); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestASweepTakesWhatWasNeverFinished(t *testing.T) {
	s := small(t)
	paths, err := s.Place(secret("key", 10))
	if err != nil {
		t.Fatal(err)
	}
	path := paths["/run/secrets/key"]
	tmp, err := s.temporary([]byte("of one who died"), 0, 0, 0o400)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(map[string]bool{filepath.Base(filepath.Dir(path)): true}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tmp); err == nil {
		t.Error("it is left")
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("what is used is gone: %v", err)
	}
}
