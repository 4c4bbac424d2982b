package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
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
		sum := sha256.Sum256(v)
		f.Content, f.Hash = v, hex.EncodeToString(sum[:])
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

// choosePorts gives a host port to every port that names none, and keeps it for later releases.
func (k *Maker) choosePorts(ctx context.Context, stack string, s *rhumb.Service) error {
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.Published != 0 && p.PublishedEnd == 0 {
			continue
		}
		key := fmt.Sprintf("port/%s/%s/%s/%d/%s/%d-%d", stack, s.Name, p.HostIP, p.Target, p.Protocol, p.Published, p.PublishedEnd)
		kept, err := k.Store.Setting(ctx, key)
		if err != nil {
			return err
		}
		if n, err := strconv.ParseUint(kept, 10, 16); err == nil && n > 0 {
			p.Published, p.PublishedEnd = uint16(n), 0
			continue
		}
		n, err := k.Ports.FreePort(ctx, *p)
		if err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
		p.Published, p.PublishedEnd = n, 0
		if err := k.Store.SetSetting(ctx, key, strconv.Itoa(int(n))); err != nil {
			return err
		}
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
