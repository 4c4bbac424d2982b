package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// It is sealed to the server's own key here, which costs no time; with a passphrase see backedUp. Costs about 10 s.
func TestARestoredServerFindsItsStacksServing(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, good)
	k.must(0, "deploy")
	k.write("value", "kept")
	s.must(0, "secret", "create", k.name, filepath.Join(k.dir, "value"))
	before := k.containers()
	file := filepath.Join(filepath.Dir(s.socket), "backup")
	_, own, _ := strings.Cut(string(s.content(filepath.Join(s.data, "key"))), "public key: ")
	own, _, _ = strings.Cut(own, "\n")
	s.must(0, "backup", "--data", s.data, "--recipient", own, file)
	s.must(1, "backup", "--data", s.data, "--recipient", own, file) // it is there
	s.must(1, "restore", "--data", s.data, file)                    // the server runs
	k.write("compose.yaml", strings.Replace(good, "RELEASE: one", "RELEASE: two", 1))
	k.must(0, "deploy")
	k.must(0, "rollback")
	before = append(before, k.containers()...)
	s.stopDaemon()

	if out := s.must(1, "restore", "--data", s.data, file); !strings.Contains(out, "holds state") {
		t.Errorf("over releases it says:\n%s", out)
	}
	state := folderOf(t, s.data)
	whole := s.content(file)
	for name, spoiled := range map[string][]byte{"flipped": flip(whole, len(whole)/2), "cut off": whole[:len(whole)-1]} {
		path := filepath.Join(k.dir, name)
		if err := os.WriteFile(path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		out := s.must(2, "restore", "--force", "--data", s.data, path)
		if !strings.Contains(out, "nothing was changed") || folderOf(t, s.data) != state {
			t.Errorf("%s: it says:\n%s\nbefore:\n%s\nafter:\n%s", name, out, state, folderOf(t, s.data))
		}
	}
	out := s.must(0, "restore", "--force", "--data", s.data, file)
	if !strings.Contains(out, "the previous state is in "+filepath.Join(s.data, "before-")) {
		t.Errorf("it says:\n%s", out)
	}
	s.start()
	s.await()
	if out := k.must(0, "releases"); !strings.Contains(out, "@1") || strings.Contains(out, "@2") {
		t.Errorf("the releases are:\n%s", out)
	}
	if out := s.must(0, "secret", "ls"); !strings.Contains(out, k.name) {
		t.Errorf("the values are:\n%s", out)
	}
	k.says(k.url("/"), `"Release":"one"`)
	for _, name := range k.containers() {
		if !slices.Contains(before, name) {
			t.Errorf("%s is new", name)
		}
	}
	s.must(0, "secret", "rm", k.name)
}

// must runs a command of the server's that has to end with a code.
func (s *server) must(code int, args ...string) string {
	s.t.Helper()
	r := s.rhumb("", args...)
	if r.code != code {
		s.t.Fatalf("rhumb %s exits with %d, want %d:\n%s", strings.Join(args, " "), r.code, code, r.out)
	}
	return r.out
}

func flip(b []byte, at int) []byte {
	b = bytes.Clone(b)
	b[at] ^= 1
	return b
}

// folderOf lists a state folder: names and sizes of what a restore may touch.
func folderOf(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.IsDir() {
			fmt.Fprintln(&b, e.Name())
		} else {
			fmt.Fprintln(&b, e.Name(), info.Size(), info.ModTime())
		}
	}
	return b.String()
}

// backedUp looks for the canaries in a backup, and lays one where everywhere looks. The passphrase is one of them.
func (v *vaultStack) backedUp() {
	v.t.Helper()
	passphrase := v.canary("the backup's passphrase")
	file := filepath.Join(filepath.Dir(v.s.socket), "backup")
	r := v.s.rhumbEnv("", []string{"RHUMB_BACKUP_PASSPHRASE=" + passphrase}, "backup", "--data", v.s.data, file)
	if r.code != 0 {
		v.t.Fatalf("rhumb backup exits with %d: %s", r.code, r.out)
	}
	v.none("rhumb backup", []byte(r.out))
	v.none("the backup", v.s.content(file))
	r = v.s.rhumbEnv("", []string{"RHUMB_BACKUP_PASSPHRASE=wrong" + passphrase}, "restore", "--data",
		filepath.Join(v.t.TempDir(), "other"), file)
	if r.code != 1 || !strings.Contains(r.out, "another key or passphrase") {
		v.t.Errorf("with a wrong passphrase rhumb restore exits with %d: %s", r.code, r.out)
	}
	v.none("rhumb restore", []byte(r.out))
	// What is restored is sealed as before.
	other := filepath.Join(filepath.Dir(v.s.socket), "other")
	r = v.s.rhumbEnv("", []string{"RHUMB_BACKUP_PASSPHRASE=" + passphrase}, "restore", "--data", other, file)
	if r.code != 0 {
		v.t.Fatalf("rhumb restore exits with %d: %s", r.code, r.out)
	}
	if n := v.folder(other, v.start); n < 3 {
		v.t.Errorf("only %d files are restored", n)
	}
}
