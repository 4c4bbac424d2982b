package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "modernc.org/sqlite" // to find the sealed records in the file
)

// sealed are the columns of the database whose content is sealed.
var sealed = []string{"releases.model", "kept_values.content", "deployments.failures", "events.failure",
	"seal_check.content"}

func TestATamperedDatabaseOrKeyIsRefusedWhileTheProxyServes(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	k := newStack(t, s, good)
	k.must(0, "deploy")
	k.write("value", "kept")
	if r := s.rhumb(k.dir, "secret", "create", k.name, "value"); r.code != 0 {
		t.Fatalf("rhumb secret create exits with %d: %s", r.code, r.out)
	}
	k.write("compose.yaml", strings.Replace(good, "RELEASE: one", "RELEASE: two, ADDR: none, EXIT_AFTER: 100ms", 1))
	k.must(3, "deploy")
	before := k.must(0, "releases", "--format", "json")
	s.stopDaemon()
	db, key := filepath.Join(s.data, "rhumb.db"), filepath.Join(s.data, "key")
	if _, err := os.Stat(db + "-wal"); err == nil {
		t.Fatal("the database isn't closed: its log is there")
	}
	header := s.content(db)
	page := int(header[16])<<8 | int(header[17]) // its size, which is where the second one begins
	refuse := func(name, path string, at int) {
		t.Helper()
		s.refusesFlipped(name, path, at)
		k.says(k.url("/"), `"Release":"one"`)
	}
	refuse("the database's first byte", db, 0)
	refuse("a page of the database", db, page)
	for _, column := range sealed {
		refuse(column, db, place(t, db, column))
	}
	refuse("the key", key, bytes.Index(s.content(key), []byte("AGE-SECRET-KEY-1"))+30)
	refuse("the key's kind", key, bytes.Index(s.content(key), []byte("AGE-SECRET-KEY-1")))

	s.start()
	s.await()
	if after := k.must(0, "releases", "--format", "json"); after != before {
		t.Errorf("releases before:\n%s\nafter:\n%s", before, after)
	}
	k.says(k.url("/"), `"Release":"one"`)
}

// stopDaemon ends the daemon as an administrator does, and leaves its proxy alone.
func (s *server) stopDaemon() {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		s.t.Fatalf("the server ends with %v:\n%s", err, s.logTail(5))
	}
}

func (s *server) content(path string) []byte {
	s.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// refusesFlipped flips a bit of a file and checks that the server doesn't start with it, names it, and leaves it as
// it is. Afterwards the file is whole again.
func (s *server) refusesFlipped(name, path string, at int) {
	s.t.Helper()
	whole := s.content(path)
	flipped := bytes.Clone(whole)
	flipped[at] ^= 1
	if err := os.WriteFile(path, flipped, 0o600); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "server", "--data", s.data, "--socket", s.socket, "--http",
		fmt.Sprintf(":%d", s.entry), "--https", "", "--metrics", "", "--dashboard", "")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	out, err := cmd.CombinedOutput()
	s.t.Logf("%s: %v\n%s", name, err, out)
	switch {
	case ctx.Err() != nil:
		s.t.Errorf("%s is flipped, and the server starts", name)
	case err == nil:
		s.t.Errorf("%s is flipped, and the server exits with 0", name)
	case !strings.Contains(string(out), path) || !strings.Contains(string(out), "hint: "):
		s.t.Errorf("%s is flipped: the error doesn't name %s and what to do", name, path)
	}
	if !bytes.Equal(s.content(path), flipped) {
		s.t.Errorf("%s is flipped, and the server has changed the file", name)
	}
	for _, side := range []string{"-wal", "-shm"} { // of a server that did start
		_ = os.Remove(path + side)
	}
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// place finds where in the database's file a sealed column's first content is.
func place(t *testing.T, path, column string) int {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	table, name, _ := strings.Cut(column, ".")
	var content []byte
	if err := db.QueryRow("SELECT " + name + " FROM " + table + " WHERE " + name +
		" IS NOT NULL LIMIT 1").Scan(&content); err != nil {
		t.Fatalf("%s: %v", column, err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const piece = 48 // of a row that spreads over pages some piece is in one; every bit of it is sealed
	for i := len(content) / 2; i+piece <= len(content); i += piece / 4 {
		if part := content[i : i+piece]; bytes.Count(file, part) == 1 {
			return bytes.Index(file, part) + piece/2
		}
	}
	t.Fatalf("%s is not in the file, or is there twice", column)
	return 0
}
