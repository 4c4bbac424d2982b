package contents

import (
	"path/filepath"
	"testing"
	"time"
)

func TestASweepWaitsForWhoeverPlacesFilesInAnotherDaemonToo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rhumb", "files.lock")
	placing, sweeping := &Fence{path: path}, &Fence{path: path}
	placing.RLock()
	placing.RLock()
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		sweeping.Lock()
		defer sweeping.Unlock()
	}()
	placing.RUnlock()
	select {
	case <-swept:
		t.Fatal("it sweeps while files are being placed")
	case <-time.After(100 * time.Millisecond):
	}
	placing.RUnlock()
	select {
	case <-swept:
	case <-time.After(5 * time.Second):
		t.Fatal("it never sweeps")
	}
}
