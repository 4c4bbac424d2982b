package release

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"rhumb"
)

// fillValues puts the server's values into external secrets and configs. missing tells of those that it hasn't.
func (k *Maker) fillValues(ctx context.Context, model *rhumb.Stack) (missing rhumb.Errors, err error) {
	for i := range model.Files {
		f := &model.Files[i]
		if f.External == "" {
			continue
		}
		v, err := k.Store.Value(ctx, f.External)
		if rhumb.ErrorCode(err) == rhumb.NotFound {
			missing = append(missing, rhumb.Errorf(rhumb.Invalid, "%s %s: the server has no value named %q", f.Kind, f.Name, f.External).
				WithHint("rhumb secret create %s FILE", f.External))
			continue
		}
		if err != nil {
			return nil, err
		}
		f.Content = v
	}
	if err := k.hashFiles(ctx, model); err != nil {
		return nil, err
	}
	return missing, noteHashes(model)
}

// noteHashes notes with each mounted file the hash of its content: a new content is a change.
func noteHashes(model *rhumb.Stack) error {
	for _, x := range allImaged(model) {
		for j := range x.container.Mounts {
			m := &x.container.Mounts[j]
			if m.Type != rhumb.MountFile {
				continue
			}
			f := model.File(m.Kind, m.Source)
			if f == nil {
				return rhumb.Errorf(rhumb.Invalid, "service %s: there is no %s %q", x.name, m.Kind, m.Source)
			}
			m.Hash = f.Hash
		}
	}
	return nil
}

// hashFiles names the content of each file by a keyed hash: the spec hash, which replicas carry for all to see, is made of it, and a short
// secret could be guessed from a plain one. A content that the current release has, too, keeps the hash that it has there, however that
// was made: an unchanged file changes no replica. Certificates are the proxy's, and no spec has them.
func (k *Maker) hashFiles(ctx context.Context, model *rhumb.Stack) error {
	cur, err := k.Current(ctx, model.Name)
	if err != nil {
		return err
	}
	for i := range model.Files {
		f := &model.Files[i]
		if f.Kind == rhumb.FileCertificate {
			continue
		}
		if cur != nil {
			if old := cur.Model.File(f.Kind, f.Name); old != nil && old.Hash != "" && bytes.Equal(old.Content, f.Content) {
				f.Hash = old.Hash
				continue
			}
		}
		h := hmac.New(sha256.New, k.Key)
		h.Write(f.Content)
		f.Hash = hex.EncodeToString(h.Sum(nil))
	}
	return nil
}

// routePorts gives routes without a port the first one that the service or its image names.
func routePorts(s *rhumb.Service, img rhumb.Image) error {
	for i := range s.Routes {
		r := &s.Routes[i]
		if r.Port != 0 {
			continue
		}
		if len(s.Ports) > 0 {
			r.Port = s.Ports[0].Target
			continue
		}
		for _, e := range slices.Concat(s.Container.Expose, img.Ports) {
			port, proto, _ := strings.Cut(e, "/")
			if n, err := strconv.ParseUint(port, 10, 16); err == nil && proto != "udp" {
				r.Port = uint16(n)
				break
			}
		}
		if r.Port == 0 {
			return rhumb.Errorf(rhumb.Invalid, "service %s: route %s names no port, and neither the service nor its image exposes one", s.Name, r.Address()).
				WithHint("write the port: {host: ..., path: ..., port: 8000}")
		}
	}
	return nil
}
