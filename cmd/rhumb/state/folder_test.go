package state

import (
	"os"
	"strings"
	"testing"

	"rhumb"
)

func TestAFolderHasOneServer(t *testing.T) {
	folder := Folder(t.TempDir())
	unlock, err := folder.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := folder.Lock(); rhumb.ErrorCode(err) != rhumb.Locked {
		t.Errorf("the second lock returns %v", err)
	}
	unlock()
	again, err := folder.Lock()
	if err != nil {
		t.Fatal(err)
	}
	again()
}

func TestADamagedDatabaseIsRestoredOverWithForce(t *testing.T) {
	folder := Folder(t.TempDir())
	if err := os.WriteFile(folder.Database(), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := folder.ToRestore(t.Context(), false); err == nil || !strings.Contains(rhumb.ErrorHint(err), "--force") {
		t.Errorf("got %v, hint %q", err, rhumb.ErrorHint(err))
	}
	unlock, err := folder.ToRestore(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
}
