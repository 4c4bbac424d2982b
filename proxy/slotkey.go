package proxy

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"path/filepath"
	"sync"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const (
	slotKeyFile  = "slot.key"
	slotKeyBytes = 32
)

// slotKey returns the key that signs the cookies of sticky backends. It is read when it is first needed, and made if
// there is none: it outlives the process, so that clients stay when the proxy is replaced. Without a folder, or if the
// disk fails, it lives as long as the process.
func slotKey(dir string, log *slog.Logger) func() []byte {
	return sync.OnceValue(func() []byte {
		fresh := make([]byte, slotKeyBytes)
		_, _ = rand.Read(fresh) // never fails
		if dir == "" {
			return fresh
		}
		path := filepath.Join(dir, slotKeyFile)
		key, err := atomicfile.Read(path, 2*slotKeyBytes)
		switch {
		case err == nil && len(key) == slotKeyBytes:
			return key
		case err != nil && !errors.Is(err, fs.ErrNotExist):
		default:
			err = atomicfile.Write(path, fresh, 0o600)
		}
		if err != nil {
			err = rhumb.Errorf(rhumb.Internal, "slot key: %w", err)
			log.Error("clients of sticky services don't stay when the proxy is replaced", "err", err)
		}
		return fresh
	})
}
