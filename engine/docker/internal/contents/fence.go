package contents

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// lookAgain is how often a waiting sweep tries to begin.
const lookAgain = 20 * time.Millisecond

// Fence excludes a sweep while files are placed whose container doesn't exist yet, in this process and in others:
// several daemons of one machine share the folder. Where the lock file can't be locked, the fence works within this
// process only.
type Fence struct {
	path string
	mu   sync.RWMutex

	counting sync.Mutex
	readers  int
	file     *os.File // locked while there are readers, or a sweep; nil: it couldn't be
}

// RLock keeps sweeps out until RUnlock.
func (f *Fence) RLock() {
	f.mu.RLock()
	f.counting.Lock()
	defer f.counting.Unlock()
	if f.readers == 0 {
		f.file, _ = locked(f.path, syscall.LOCK_SH)
	}
	f.readers++
}

// RUnlock undoes one RLock.
func (f *Fence) RUnlock() {
	f.counting.Lock()
	f.readers--
	if f.readers == 0 && f.file != nil {
		f.file.Close() // releases the lock
	}
	f.counting.Unlock()
	f.mu.RUnlock()
}

// Lock waits until no RLock is held, or ctx ends. New RLocks may begin meanwhile: creating a container may take
// minutes, and the others must not wait that long.
func (f *Fence) Lock(ctx context.Context) error {
	for !f.tryLock() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lookAgain):
		}
	}
	return nil
}

func (f *Fence) tryLock() bool {
	if !f.mu.TryLock() {
		return false
	}
	var err error
	if f.file, err = locked(f.path, syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		f.mu.Unlock()
		return false
	}
	return true
}

// Unlock undoes Lock.
func (f *Fence) Unlock() {
	if f.file != nil {
		f.file.Close()
	}
	f.mu.Unlock()
}

// locked opens and locks a file.
func locked(path string, how int) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err := syscall.Flock(int(file.Fd()), how)
		if err == nil {
			return file, nil
		}
		if err != syscall.EINTR {
			file.Close()
			return nil, err
		}
	}
}
