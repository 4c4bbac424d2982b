package release

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"rhumb"
)

// fillFiles settles the contents of configs, secrets and project files, and the hashes that mounts carry. It adds the
// values that the server doesn't have to missing.
func (d *draft) fillFiles(ctx context.Context) error {
	if err := d.fillValues(ctx); err != nil {
		return err
	}
	d.hashFiles()
	if err := d.hashOptions(); err != nil {
		return err
	}
	return d.hashMounts()
}

// fillValues puts the server's values into external secrets and configs.
func (d *draft) fillValues(ctx context.Context) error {
	for i := range d.model.Files {
		f := &d.model.Files[i]
		if f.External == "" {
			continue
		}
		v, err := d.Store.Value(ctx, f.External)
		if rhumb.ErrorCode(err) == rhumb.NotFound {
			const words = "%s %s: the server has no value named %q"
			d.missing = append(d.missing, rhumb.Errorf(rhumb.Invalid, words, f.Kind, f.Name, f.External).
				WithHint("rhumb secret create %s FILE", f.External))
			continue
		}
		if err != nil {
			return err
		}
		f.Content = v
	}
	return nil
}

// hashFiles hashes the content of each file with the server's key. Everyone who may look at a container sees the spec
// hash, which depends on these hashes, and could guess a short secret from an unkeyed one. A content that the current
// release has too keeps its hash, however that was made, so that an unchanged file changes no replica. Certificates
// belong to the proxy and are in no spec.
func (d *draft) hashFiles() {
	old := d.old()
	for i := range d.model.Files {
		f := &d.model.Files[i]
		if f.Kind == rhumb.FileCertificate {
			continue
		}
		if old != nil {
			if was := old.File(f.Kind, f.Name); was != nil && was.Hash != "" && bytes.Equal(was.Content, f.Content) {
				f.Hash = was.Hash
				continue
			}
		}
		h := hmac.New(sha256.New, d.Key)
		h.Write(f.Content)
		f.Hash = hex.EncodeToString(h.Sum(nil))
	}
}

// hashMounts copies the hashes of files to their mounts: a mount with another content is another mount.
func (d *draft) hashMounts() error {
	for _, x := range allImaged(d.model) {
		for j := range x.container.Mounts {
			m := &x.container.Mounts[j]
			if m.Type != rhumb.MountFile {
				continue
			}
			f := d.model.File(m.Kind, m.Source)
			if f == nil {
				return rhumb.Errorf(rhumb.Invalid, "service %s: there is no %s %q", x.name, m.Kind, m.Source)
			}
			m.Hash = f.Hash
		}
	}
	return nil
}
