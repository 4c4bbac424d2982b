package unixsocket

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheProcessBehindASocketIsKnown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	if pid := ServerPID(path); pid != 0 {
		t.Errorf("without a socket: %d", pid)
	}
	ln, err := Listen(path, Private)
	if err != nil {
		t.Fatal(err)
	}
	if pid := ServerPID(path); pid != os.Getpid() {
		t.Errorf("it is %d, want %d", pid, os.Getpid())
	}
	ln.Close()
	if pid := ServerPID(path); pid != 0 {
		t.Errorf("of a process that listens no more: %d", pid)
	}
}
