package unixsocket

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"rhumb"
)

func TestTheSocketIsPrivateAndReplacesADeadOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "s")
	ln, err := Listen(path, Private)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("it has the mode %v, %v", info.Mode(), err)
	}
	if _, err := Listen(path, Private); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Errorf("while it answers: got %v", err)
	}
	ln.Close()
	ln, err = Listen(path, Private) // the dead one's file is still there
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
		t.Errorf("beside the socket there is more: %v", left)
	}
}
