package control

import (
	"context"
	"slices"

	"rhumb"
	"rhumb/control/scene"
)

// certify sees to it that the proxy has the certificates that the wanted release asks for. What it can't do now the next turn tries again:
// a certificate must not keep replicas from being healed.
func (r *runner) certify(ctx context.Context, g *scene.Scene) {
	d := r.c.desk
	wishes := d.Wishes(r.stack, g.Wanted.Model)
	if d.Has(r.stack, wishes) {
		return
	}
	err := r.c.keepPairs(ctx, g.Wanted.Model, wishes)
	if err == nil {
		err = d.Certify(ctx, r.stack, wishes)
	}
	if err != nil && ctx.Err() == nil {
		r.log.Warn("certificates not handed to the proxy", "err", err)
	}
}

// keepPairs stores the given pairs where the proxy finds them. They come before the table that names them.
func (c *Control) keepPairs(ctx context.Context, m *rhumb.Stack, wishes []rhumb.Certificate) error {
	for _, w := range wishes {
		if w.Source != rhumb.CertGiven {
			continue
		}
		i := slices.IndexFunc(m.Files, func(f rhumb.File) bool { return f.Kind == rhumb.FileCertificate && f.Hash == w.Given })
		if i < 0 || c.Deps.Certificates == nil {
			return rhumb.Errorf(rhumb.Internal, "the release doesn't hold the certificate of %s", w.Host)
		}
		if err := c.Deps.Certificates.KeepPair(ctx, w.Given, m.Files[i].Content); err != nil {
			return err
		}
	}
	return nil
}

// Certificates tells how the certificates of all hosts stand.
func (c *Control) Certificates(ctx context.Context) ([]rhumb.CertificateStatus, error) {
	st, err := c.desk.Status(ctx)
	if err != nil {
		return nil, err
	}
	if st.Certificates == nil {
		return []rhumb.CertificateStatus{}, nil
	}
	return st.Certificates, nil
}

// RootCertificate gives the internal authority's certificate.
func (c *Control) RootCertificate(ctx context.Context) (string, error) {
	if c.Deps.Certificates == nil {
		return "", rhumb.Errorf(rhumb.NotFound, "this server has no authority of its own")
	}
	return c.Deps.Certificates.Root(ctx)
}
