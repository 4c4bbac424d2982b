package backup

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"io"
	"path"
	"path/filepath"
	"strings"

	"filippo.io/age"

	"rhumb"
)

// Verify reads a backup to its end and describes it. It returns an error if none of the identities opens the backup,
// or if the backup was changed or truncated. It writes nothing.
func Verify(r io.Reader, with ...age.Identity) (Info, error) {
	return read(r, with, func(string, io.Reader) error { return nil })
}

// read calls each for every file, with its name in the state folder, and drains what each leaves unread. Only after
// read has returned is it known that the backup is complete.
func read(r io.Reader, with []age.Identity, each func(name string, content io.Reader) error) (Info, error) {
	plain, err := age.Decrypt(r, with...)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return Info{}, rhumb.Errorf(rhumb.Denied, "the backup can't be opened: it was sealed with another key or passphrase")
	}
	if err != nil {
		return Info{}, damaged(err)
	}
	t := tar.NewReader(plain)
	info, err := describe(t)
	if err != nil {
		return Info{}, err
	}
	seen := map[string]bool{}
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return Info{}, damaged(err)
		}
		if err := entry(h, seen); err != nil {
			return Info{}, damaged(err)
		}
		if err := each(h.Name, t); err != nil {
			return Info{}, err
		}
		if _, err := io.Copy(io.Discard, t); err != nil {
			return Info{}, damaged(err)
		}
		info.Files++
		info.Bytes += h.Size
	}
	if _, err := io.Copy(io.Discard, plain); err != nil { // the end is authenticated too
		return Info{}, damaged(err)
	}
	if !seen[key] || !seen[database] {
		return Info{}, damaged(errors.New("the key or the database is missing"))
	}
	return info, nil
}

func describe(t *tar.Reader) (Info, error) {
	h, err := t.Next()
	if err != nil {
		return Info{}, damaged(err)
	}
	var info Info
	if h.Name != description || json.NewDecoder(io.LimitReader(t, maxDescription)).Decode(&info) != nil {
		return Info{}, rhumb.Errorf(rhumb.Invalid, "the sealed file is not a backup of rhumb")
	}
	if info.Format != format {
		return Info{}, rhumb.Errorf(rhumb.Unsupported, "the backup has format %d, and this rhumb reads format %d",
			info.Format,
			format).
			WithHint("restore it with rhumb %s, which made it", info.Version)
	}
	return info, nil
}

// entry refuses entries that no backup of ours contains.
func entry(h *tar.Header, seen map[string]bool) error {
	top, _, _ := strings.Cut(h.Name, "/")
	switch {
	case h.Typeflag != tar.TypeReg, !filepath.IsLocal(h.Name), path.Clean(h.Name) != h.Name, stays(top):
		return errors.New("unexpected entry")
	case seen[h.Name]:
		return errors.New("duplicate entry")
	}
	seen[h.Name] = true
	return nil
}

func damaged(err error) error {
	var own *rhumb.Error
	if errors.As(err, &own) {
		return err
	}
	return rhumb.Errorf(rhumb.Invalid, "the backup is damaged, incomplete, or not a backup: %w", err).
		WithHint("use another copy; nothing was changed here")
}
