package contents

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"rhumb"
)

// small returns a store in 64 kB of memory.
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
	return New(folder, []byte("a key"))
}

// secret returns a spec that mounts one secret of a size.
func secret(name string, size int) *rhumb.ReplicaSpec {
	s := &rhumb.ReplicaSpec{Service: "web",
		Files: []rhumb.File{{Kind: rhumb.FileSecret, Name: name, Content: bytes.Repeat([]byte(name[:1]), size)}}}
	s.Container.Mounts = []rhumb.Mount{{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: name,
		Target: "/run/secrets/" + name}}
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
		_, err := s.Place(spec, RootOnly)
		if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(),
			"service web: the secret "+spec.Files[0].Name+": the memory for configs and secrets, "+s.Folder+", is full") ||
			!strings.Contains(rhumb.ErrorHint(err), "df -h "+s.Folder+" ") || strings.Contains(rhumb.ErrorHint(err), "%!") {
			t.Errorf("%v; hint: %s", err, rhumb.ErrorHint(err))
		}
		if now := held(t, s); len(now) != before {
			t.Errorf("left: %v", now)
		}
	}
	refused(secret("big", 100<<10), 0)
	first, err := s.Place(secret("key", 40<<10), RootOnly)
	if err != nil {
		t.Fatal(err)
	}
	refused(secret("other", 40<<10), 2)
	for i := range 2 { // till the inodes are used up
		if _, err := s.Place(secret(string(rune('a'+i)), 1), RootOnly); err != nil {
			t.Fatal(err)
		}
	}
	refused(secret("z", 1), 6)
	if got, err := os.ReadFile(first["/run/secrets/key"]); err != nil || len(got) != 40<<10 {
		t.Errorf("what was there has %d bytes, %v", len(got), err)
	}
	if err := s.Sweep(nil, RootOnly); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Place(secret("other", 40<<10), RootOnly); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestASweepTakesWhatWasNeverFinished(t *testing.T) {
	s := small(t)
	paths, err := s.Place(secret("key", 10), RootOnly)
	if err != nil {
		t.Fatal(err)
	}
	path := paths["/run/secrets/key"]
	tmp, err := s.temporary([]byte("of one who died"), 0, 0, 0o400)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Sweep(map[string]bool{filepath.Base(filepath.Dir(path)): true}, RootOnly); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(tmp); err == nil {
		t.Error("it is left")
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("what is used is gone: %v", err)
	}
}

func TestAContentsNameRevealsNothingWithoutTheKey(t *testing.T) {
	s := small(t)
	paths, err := s.Place(secret("key", 3), RootOnly)
	if err != nil {
		t.Fatal(err)
	}
	path := paths["/run/secrets/key"]
	plain := sha256.Sum256([]byte("0 0 444\nkkk"))
	if strings.Contains(path, hex.EncodeToString(plain[:])) {
		t.Errorf("%s is the hash of what is in it", path)
	}
	other := New(s.Folder, []byte("another key"))
	others, err := other.Place(secret("key", 3), RootOnly)
	if err != nil || others["/run/secrets/key"] == path {
		t.Errorf("with another key the name is the same, %s (%v)", path, err)
	}
	again, err := s.Place(secret("key", 3), RootOnly)
	if err != nil || again["/run/secrets/key"] != path || len(held(t, s)) != 4 {
		t.Errorf("the same content lies at %s and %s (%v): %v", path, again, err, held(t, s))
	}
}

func TestOnlyRootOpensAContentUnlessTheEngineMapsUsers(t *testing.T) {
	s := small(t)
	// the test's own, which are root's too
	for _, folder := range []string{filepath.Dir(s.Folder), filepath.Dir(filepath.Dir(s.Folder))} {
		if err := os.Chmod(folder, 0o711); err != nil {
			t.Fatal(err)
		}
	}
	for _, access := range []Access{RootOnly, Passable, RootOnly} {
		paths, err := s.Place(secret("key", 3), access)
		if err != nil {
			t.Fatal(err)
		}
		path := paths["/run/secrets/key"]
		info, err := os.Stat(filepath.Dir(path))
		if err != nil || info.Mode().Perm() != os.FileMode(access) {
			t.Errorf("the folder's mode is %v instead of %o (%v)", info.Mode(), access, err)
		}
		cat := exec.Command("cat", path)
		cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cat.CombinedOutput(); (err == nil) != (access == Passable) {
			t.Errorf("mode %o: a local user gets %q, %v", access, out, err)
		}
	}
}

func TestWhatAnOlderRhumbPlacedStaysWhileItIsUsed(t *testing.T) {
	s := small(t)
	var old []string // as they were named: by the plain hash, in folders open to all
	for _, content := range []string{"used", "unused"} {
		sum := sha256.Sum256([]byte("0 0 444\n" + content))
		home := filepath.Join(s.Folder, hex.EncodeToString(sum[:]))
		if err := os.Mkdir(home, 0o711); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "content"), []byte(content), 0o444); err != nil {
			t.Fatal(err)
		}
		old = append(old, home)
	}
	if err := s.Sweep(map[string]bool{filepath.Base(old[0]): true}, RootOnly); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(old[0], "content")); err != nil || string(b) != "used" {
		t.Errorf("what a replica mounts holds %q, %v", b, err)
	}
	if info, err := os.Stat(old[0]); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("its folder's mode is %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(old[1]); err == nil {
		t.Error("what no replica mounts is left")
	}
}
