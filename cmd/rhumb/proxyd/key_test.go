package proxyd

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
)

// A certificate that can't be opened for lack of the key would otherwise count as missing, and be ordered again.
func TestAMissingKeyIsNotAMissingCertificate(t *testing.T) {
	key := &lateKey{path: filepath.Join(t.TempDir(), "key")}
	if _, err := key.Open([]byte("sealed")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
