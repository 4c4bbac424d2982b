// Package seal encrypts byte slices with a key that is stored in a file of its own, so that other files on the disk
// can't be read without it. The format is age's (age-encryption.org/v1) with one X25519 key; "age -d -i KEYFILE"
// opens it too.
package seal

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"filippo.io/age"

	"rhumb"
	"rhumb/internal/atomicfile"
)

const maxKeyFile = 64 << 10 // bytes; a key file is a few lines

// Box seals and opens byte slices with one key. It is safe for concurrent use.
type Box struct {
	identity *age.X25519Identity
	path     string
}

// Open loads the key file at path, or creates it with mode 0600. A file that others may read is Denied; a file
// without exactly one key is Invalid. Open never overwrites either.
func Open(path string) (*Box, error) {
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "key file %s: %w", path, err)
	}
	defer unlock()
	identity, err := load(path)
	if errors.Is(err, fs.ErrNotExist) {
		identity, err = create(path)
	}
	if err != nil {
		return nil, err
	}
	return &Box{identity: identity, path: path}, nil
}

// Seal returns b sealed. Sealing the same bytes twice has different results.
func (x *Box) Seal(b []byte) ([]byte, error) {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, x.identity.Recipient())
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "seal: %w", err)
	}
	if _, err := w.Write(b); err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "seal: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "seal: %w", err)
	}
	return out.Bytes(), nil
}

// Key returns another key, for one purpose. It can't be computed from the keys for other purposes.
func (x *Box) Key(purpose string) []byte {
	h := hmac.New(sha256.New, []byte(x.identity.String()))
	h.Write([]byte(purpose))
	return h.Sum(nil)
}

// ErrDamaged is the error of Open for the right key and sealed data that was changed or truncated.
var ErrDamaged = errors.New("changed or damaged")

// Open returns what was sealed. It returns Internal if b was sealed with another key, truncated, or changed in a
// single bit.
func (x *Box) Open(b []byte) ([]byte, error) {
	r, err := age.Decrypt(bytes.NewReader(b), x.identity)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return nil, rhumb.Errorf(rhumb.Internal, "the data was sealed with another key than that in %s: %w", x.path, err).
			WithHint("restore the key file that was used then")
	}
	if err != nil {
		return nil, damaged(err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, damaged(err)
	}
	return plain, nil
}

func damaged(err error) error {
	return rhumb.Errorf(rhumb.Internal, "the sealed data is damaged or was changed: %w", damage{err}).
		WithHint("restore it from a backup; rhumb doesn't use what it can't verify")
}

// damage makes an error match ErrDamaged.
type damage struct{ error }

func (d damage) Is(target error) bool { return target == ErrDamaged }
func (d damage) Unwrap() error        { return d.error }

func load(path string) (*age.X25519Identity, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "key file %s can't be read: %w", path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "key file %s can't be read: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, rhumb.Errorf(rhumb.Invalid, "key file %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, rhumb.Errorf(rhumb.Denied, "key file %s may be read by others: its mode is %04o", path,
			info.Mode().Perm()).
			WithHint("if it wasn't copied: chmod 600 %s", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyFile+1))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "key file %s can't be read: %w", path, err)
	}
	return parse(path, text)
}

// parse parses a key file. It never puts a line of the file into an error: the line may be a damaged key.
func parse(path string, text []byte) (*age.X25519Identity, error) {
	bad := rhumb.Errorf(rhumb.Invalid, "key file %s contains no valid key", path).
		WithHint("restore it from a backup; rhumb never overwrites it, since without it no sealed data can be opened")
	if len(text) > maxKeyFile {
		return nil, bad
	}
	var found *age.X25519Identity
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		identity, err := age.ParseX25519Identity(line)
		if err != nil || found != nil {
			return nil, bad
		}
		found = identity
	}
	if found == nil {
		return nil, bad
	}
	return found, nil
}

func create(path string) (*age.X25519Identity, error) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "key file %s: %w", path, err)
	}
	text := fmt.Sprintf("# The key of this rhumb server, made %s. Keep a copy elsewhere: without it nothing sealed "+
		"can be opened.\n# public key: %s\n%s\n",
		time.Now().UTC().Format(time.RFC3339), identity.Recipient(), identity)
	if err := atomicfile.Write(path, []byte(text), 0o600); err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "key file %s can't be written: %w", path, err)
	}
	return identity, nil
}

// lockFolder keeps two processes from creating a key at the same time: one of the keys would be lost.
func lockFolder(dir string) (unlock func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, err
	}
	return func() { f.Close() }, nil // closing releases the lock
}
