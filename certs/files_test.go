package certs

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/seal"
)

func TestFilesOfRoutesAreSealedAndKeptWhileTheyAreUsed(t *testing.T) {
	dir := t.TempDir()
	box, err := seal.Open(dir + "/key")
	if err != nil {
		t.Fatal(err)
	}
	store, keeper := OpenStore(dir, box), New(Options{Dir: dir, Box: box, Log: slog.New(slog.DiscardHandler)})
	routes := RouteFiles(dir, box)
	secret := []byte("ann:$2y$05$hash")
	for _, hash := range []string{"0a", "0b"} {
		if err := store.KeepFile(t.Context(), hash, secret); err != nil {
			t.Fatal(err)
		}
		path, err := store.storage.path(filesKey + "/" + hash)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := os.ReadFile(path); err != nil || bytes.Contains(b, secret[:6]) {
			t.Errorf("on disk it is %q (%v)", b, err)
		}
		long := time.Now().Add(-2 * time.Hour)
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	file := rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "users", Hash: "0a"}
	table := rhumb.Table{Options: []rhumb.TableOptions{{RouteOptions: rhumb.RouteOptions{Maintenance: &file}}}}
	keeper.Manage(t.Context(), table)
	if b, err := routes("0a"); err != nil || !bytes.Equal(b, secret) {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := routes("0b"); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("what no route needs is there: %v", err)
	}
	for _, hash := range []string{"", "../given/0a", "0A", strings.Repeat("/", 3)} {
		if err := store.KeepFile(t.Context(), hash, secret); rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%q: %v", hash, err)
		}
	}
}
