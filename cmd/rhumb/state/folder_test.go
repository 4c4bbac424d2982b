package state

import (
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
		t.Errorf("a second one gets %v", err)
	}
	unlock()
	again, err := folder.Lock()
	if err != nil {
		t.Fatal(err)
	}
	again()
}
