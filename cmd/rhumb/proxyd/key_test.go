package proxyd

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"
)

// What can't be opened for want of the key would else be taken for what isn't there, and be made anew.
func TestAMissingKeyIsNotAMissingCertificate(t *testing.T) {
	key := &lateKey{path: filepath.Join(t.TempDir(), "key")}
	if _, err := key.Open([]byte("sealed")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
