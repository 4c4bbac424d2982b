package proxyd

import (
	"log/slog"
	"os"
	"sync"

	"rhumb"
	"rhumb/certs"
	"rhumb/cmd/rhumb/state"
	"rhumb/internal/seal"
)

// newCertKeeper returns the proxy's keeper of certificates. The server's key seals them.
func newCertKeeper(folder state.Folder, key *lateKey, log *slog.Logger) *certs.Keeper {
	return certs.New(certs.Options{Dir: folder.Certificates(), Box: key, Log: log})
}

// lateKey opens the server's key when it is first needed. The proxy never makes a key. Without a good key it serves
// everything but certificates.
type lateKey struct {
	path string

	mu  sync.Mutex
	box *seal.Box
}

func (k *lateKey) open() (*seal.Box, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.box != nil {
		return k.box, nil
	}
	if _, err := os.Stat(k.path); err != nil {
		// not wrapped: it isn't the sealed file that is missing
		return nil, rhumb.Errorf(rhumb.Internal, "the key that seals certificates can't be read: %v", err)
	}
	box, err := seal.Open(k.path)
	if err != nil {
		return nil, err
	}
	k.box = box
	return box, nil
}

// Seal returns b sealed.
func (k *lateKey) Seal(b []byte) ([]byte, error) {
	box, err := k.open()
	if err != nil {
		return nil, err
	}
	return box.Seal(b)
}

// Open returns what was sealed.
func (k *lateKey) Open(b []byte) ([]byte, error) {
	box, err := k.open()
	if err != nil {
		return nil, err
	}
	return box.Open(b)
}
