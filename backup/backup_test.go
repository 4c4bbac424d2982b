package backup_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"

	"rhumb"
	"rhumb/backup"
)

// state are the files of a state folder. The last ones are not part of backups.
var state = map[string]string{
	"key": "AGE-SECRET-KEY-1CANARY\n", "certs/example.com/a.key": "canary of a key",
	"certs/example.com/a.crt": "certificate",
	"certs/acme/account":      strings.Repeat("long", 50_000),
	"rhumb.db":                "not this one: the copy", "rhumb.db-wal": "log", "rhumb.db-shm": "", "lock": "",
	"proxy/table.json": "{}", "proxy.log": "lines", "observe/logs/part": "kept lines", "observe.log": "lines",
	"builds/x/context": "context", "backups/old": "old", "before-2026/key": "older", "certs/.a.1.tmp": "half",
}

// kept are the files that a backup contains.
var kept = []string{"certs/acme/account", "certs/example.com/a.crt", "certs/example.com/a.key", "key", "rhumb.db"}

const copied = "the database"

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700),
			os.WriteFile(path, []byte(content), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// files returns the files in a folder, without those set aside.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func source(dir string) backup.Source {
	return backup.Source{Folder: dir, Info: backup.Info{Version: "v1", Schema: 3, Host: "here"},
		Database: func(context.Context) ([]byte, error) { return []byte(copied), nil }}
}

func identity(t testing.TB) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func made(t *testing.T, id *age.X25519Identity) []byte {
	t.Helper()
	var b bytes.Buffer
	info, err := backup.Write(t.Context(), &b, source(folder(t, state)), id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if info.Files != len(kept) {
		t.Errorf("it has %d files, want %d", info.Files, len(kept))
	}
	return b.Bytes()
}

func TestARestoreSetsAsideTheFilesThatItReplaces(t *testing.T) {
	id := identity(t)
	b := made(t, id)
	for _, words := range []string{"canary", "certificate", copied, "acme"} {
		if bytes.Contains(bytes.ToLower(b), []byte(words)) {
			t.Errorf("%q is in the backup in clear", words)
		}
	}
	there := map[string]string{"key": "another", "rhumb.db": "other", "rhumb.db-wal": "its log",
		"proxy/table.json": "serves", "backups/one": "one"}
	dir := folder(t, there)
	info, aside, err := backup.Restore(bytes.NewReader(b), dir, nil, id)
	if err != nil {
		t.Fatal(err)
	}
	if info.Version != "v1" || info.Schema != 3 || info.Host != "here" || info.Files != len(kept) {
		t.Errorf("it is described as %+v", info)
	}
	old := files(t, aside)
	if want := map[string]string{"key": "another", "rhumb.db": "other", "rhumb.db-wal": "its log"}; !maps.Equal(old,
		want) {
		t.Errorf("set aside are %v, want %v", old, want)
	}
	if err := os.RemoveAll(aside); err != nil {
		t.Fatal(err)
	}
	got := files(t, dir)
	if got["proxy/table.json"] != "serves" || got["backups/one"] != "one" {
		t.Errorf("what stays has changed: %v", got)
	}
	delete(got, "proxy/table.json")
	delete(got, "backups/one")
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, kept) {
		t.Errorf("restored are %v, want %v", names, kept)
	}
	for name, content := range got {
		if want := state[name]; name != "rhumb.db" && content != want || name == "rhumb.db" && content != copied {
			t.Errorf("%s is %.50q", name, content)
		}
	}
	if err := backup.Settled(dir); err != nil {
		t.Error(err)
	}
}

func TestALinkedFileIsInABackupAndALinkedFolderRefused(t *testing.T) {
	id := identity(t)
	there := folder(t, state)
	link := func(to, at string) string {
		t.Helper()
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	elsewhere := filepath.Join(t.TempDir(), "key")
	if err := os.Rename(filepath.Join(there, "key"), elsewhere); err != nil {
		t.Fatal(err)
	}
	link(elsewhere, filepath.Join(there, "key"))
	var b bytes.Buffer
	info, err := backup.Write(t.Context(), &b, source(link(there, filepath.Join(t.TempDir(), "state"))), id.Recipient())
	if err != nil || info.Files != len(kept) {
		t.Errorf("got %+v, %v", info, err)
	}
	if _, err := backup.Verify(&b, id); err != nil {
		t.Error(err)
	}
	link(t.TempDir(), filepath.Join(there, "certs", "more"))
	if _, err := backup.Write(t.Context(), io.Discard, source(there),
		id.Recipient()); rhumb.ErrorCode(err) != rhumb.Unsupported {
		t.Errorf("a folder elsewhere: %v", err)
	}
}

func TestADamagedBackupIsRefusedAndNothingChanges(t *testing.T) {
	id := identity(t)
	whole := made(t, id)
	there := map[string]string{"key": "another", "rhumb.db": "other"}
	refuse := func(name string, b []byte, with age.Identity) {
		t.Helper()
		dir := folder(t, there)
		_, _, err := backup.Restore(bytes.NewReader(b), dir, nil, with)
		if err == nil || rhumb.ErrorCode(err) == rhumb.Internal {
			t.Errorf("%s: got %v", name, err)
		}
		if got := files(t, dir); !maps.Equal(got, there) {
			t.Errorf("%s: the folder has changed: %v", name, got)
		}
	}
	for at := 0; at < len(whole); at += 1 + len(whole)/300 {
		b := bytes.Clone(whole)
		b[at] ^= 1
		refuse("a flipped bit", b, id)
	}
	for at := 0; at < len(whole); at += 1 + len(whole)/100 {
		refuse("cut off", whole[:at], id)
	}
	refuse("without its last byte", whole[:len(whole)-1], id)
	refuse("with a byte more", append(bytes.Clone(whole), 0), id)
	refuse("another's", whole, identity(t))
	refuse("nothing", nil, id)
	var other bytes.Buffer
	w, err := age.Encrypt(&other, id.Recipient())
	if err == nil {
		_, err = io.WriteString(w, "sealed, but no backup")
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	refuse("something else", other.Bytes(), id)
}

// Anyone who knows the recipient can seal a file to it.
func TestAForgedBackupIsRefusedAndNothingChanges(t *testing.T) {
	id := identity(t)
	good := []tar.Header{{Name: "rhumb-backup.json"}, {Name: "key"}, {Name: "rhumb.db"}}
	restore := func(about string, headers ...tar.Header) (map[string]string, error) {
		t.Helper()
		var b bytes.Buffer
		sealed, err := age.Encrypt(&b, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(sealed)
		for _, h := range headers {
			content := about
			if h.Name != "rhumb-backup.json" {
				content = "content"
			}
			if h.Typeflag != 0 {
				content = ""
			}
			h.Size, h.Mode = int64(len(content)), 0o600
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(w, content); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), sealed.Close()); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		_, _, err = backup.Restore(bytes.NewReader(b.Bytes()), filepath.Join(dir, "state"), nil, id)
		return files(t, dir), err
	}
	if got, err := restore(`{"Format":1}`, good...); err != nil || len(got) != 2 {
		t.Fatalf("a good one: %v, %v", got, err)
	}
	for name, h := range map[string]tar.Header{
		"a way out": {Name: "../out"}, "another way out": {Name: "certs/../../out"}, "an absolute path": {Name: "/out"},
		"a crooked path": {Name: "certs//a"},
		"a file twice":   {Name: "key"}, "a link": {Name: "certs", Typeflag: tar.TypeSymlink, Linkname: "/"},
		"a folder":          {Name: "certs/", Typeflag: tar.TypeDir},
		"the proxy's table": {Name: "proxy/table.json"}, "the marker": {Name: "restoring"},
	} {
		if got, err := restore(`{"Format":1}`, append(slices.Clone(good), h)...); rhumb.ErrorCode(err) != rhumb.Invalid ||
			len(got) > 0 {
			t.Errorf("%s: %v, left are %v", name, err, got)
		}
	}
	if got, err := restore(`{"Format":1}`, good[:2]...); rhumb.ErrorCode(err) != rhumb.Invalid || len(got) > 0 {
		t.Errorf("no database: %v, left are %v", err, got)
	}
	if got, err := restore(`{"Format":2,"Version":"v9"}`, good...); rhumb.ErrorCode(err) != rhumb.Unsupported ||
		!strings.Contains(rhumb.ErrorHint(err), "v9") || len(got) > 0 {
		t.Errorf("another format: %v, left are %v", err, got)
	}
}

func TestAnUnfinishedRestoreKeepsTheDaemonFromStarting(t *testing.T) {
	id := identity(t)
	b := made(t, id)
	dir := folder(t, map[string]string{"restoring": "", "key": "half", ".restore-1/rhumb.db": "staged"})
	if err := backup.Settled(dir); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Errorf("got %v", err)
	}
	if _, _, err := backup.Restore(bytes.NewReader(b), dir, nil, id); err != nil {
		t.Fatal(err)
	}
	if err := backup.Settled(dir); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dir, ".restore-1")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what the one that was cut off had unpacked is still there (%v)", err)
	}
	if err := backup.Settled(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
}

func FuzzABackupOfAnyBytesChangesNothing(f *testing.F) {
	id := identity(f)
	f.Add([]byte("age-encryption.org/v1\n-> X25519 a\n"), true)
	f.Add([]byte("rhumb-backup.json"), false)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal { // so that the fuzzer reaches the tar inside
			var out bytes.Buffer
			w, err := age.Encrypt(&out, id.Recipient())
			if err == nil {
				_, err = w.Write(b)
			}
			if err := errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			b = out.Bytes()
		}
		dir := t.TempDir()
		if _, _, err := backup.Restore(bytes.NewReader(b), dir, nil, id); err == nil {
			return // the fuzzer has made a valid tar
		}
		if left := files(t, dir); len(left) > 0 {
			t.Errorf("left are %v", left)
		}
	})
}
