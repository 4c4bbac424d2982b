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

// Verify reads a backup to its end and tells what it is. What doesn't open with any of the identities, was changed or
// is cut off is an error, and nothing is written anywhere.
func Verify(r io.Reader, with ...age.Identity) (Info, error) {
	return read(r, with, func(string, io.Reader) error { return nil })
}

// read calls each with every file, by its name in the state folder, and drains what it leaves. That the file is whole
// is known only when read has returned.
func read(r io.Reader, with []age.Identity, each func(name string, content io.Reader) error) (Info, error) {
	plain, err := age.Decrypt(r, with...)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return Info{}, rhumb.Errorf(rhumb.Denied, "the backup does not open: it was sealed with another key or passphrase")
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
	if _, err := io.Copy(io.Discard, plain); err != nil { // up to the end, which is authenticated too
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
		return Info{}, rhumb.Errorf(rhumb.Invalid, "the file is sealed, but holds no backup of rhumb's")
	}
	if info.Format != format {
		return Info{}, rhumb.Errorf(rhumb.Unsupported, "the backup has the format %d, and this rhumb knows %d", info.Format,
			format).
			WithHint("restore it with rhumb %s, which made it", info.Version)
	}
	return info, nil
}

// entry refuses what no backup of ours has.
func entry(h *tar.Header, seen map[string]bool) error {
	top, _, _ := strings.Cut(h.Name, "/")
	switch {
	case h.Typeflag != tar.TypeReg, !filepath.IsLocal(h.Name), path.Clean(h.Name) != h.Name, stays(top):
		return errors.New("it holds what no backup has")
	case seen[h.Name]:
		return errors.New("it holds a file twice")
	}
	seen[h.Name] = true
	return nil
}

func damaged(err error) error {
	var own *rhumb.Error
	if errors.As(err, &own) {
		return err
	}
	return rhumb.Errorf(rhumb.Invalid, "the backup was changed, is cut off, or isn't one: %w", err).
		WithHint("use another copy of it; nothing was changed here")
}
