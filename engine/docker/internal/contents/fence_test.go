package contents

import (
	"context"
	"errors"
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
		if err := sweeping.Lock(t.Context()); err != nil {
			t.Error(err)
			return
		}
		sweeping.Unlock()
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

func TestAWaitingSweepLetsOthersPlaceFilesAndGivesUp(t *testing.T) {
	for name, sweeper := range map[string]func(*Fence) *Fence{
		"in the same daemon": func(f *Fence) *Fence { return f },
		"in another one":     func(f *Fence) *Fence { return &Fence{path: f.path} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			placing := &Fence{path: filepath.Join(t.TempDir(), "files.lock")}
			placing.RLock() // as whoever makes a container that takes its time
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			given := make(chan error, 1)
			go func() { given <- sweeper(placing).Lock(ctx) }()
			time.Sleep(50 * time.Millisecond) // it waits by now
			placed := make(chan struct{})
			go func() {
				defer close(placed)
				placing.RLock()
			}()
			select {
			case <-placed:
			case <-time.After(30 * time.Second):
				t.Error("the next one has to wait for the sweep")
			}
			cancel()
			<-placed
			if err := <-given; !errors.Is(err, context.Canceled) {
				t.Errorf("it got %v", err)
			}
			placing.RUnlock()
			placing.RUnlock()
			sweeping := sweeper(placing)
			if err := sweeping.Lock(t.Context()); err != nil {
				t.Fatal(err)
			}
			sweeping.Unlock()
		})
	}
}
