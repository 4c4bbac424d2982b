package act

import (
	"context"
	"slices"

	"rhumb"
	"rhumb/control/scene"
)

// Certify hands the certificates that the wanted release asks for to the proxy, unless the proxy has them. Given pairs
// are stored before the table that names them is sent.
func (p *Performer) Certify(ctx context.Context, s *scene.Scene) error {
	wishes := p.Desk.Wishes(p.stack, s.Wanted.Model)
	if p.Desk.Has(p.stack, wishes) {
		return nil
	}
	for _, w := range wishes {
		if w.Source != rhumb.CertGiven {
			continue
		}
		files := s.Wanted.Model.Files
		given := func(f rhumb.File) bool { return f.Kind == rhumb.FileCertificate && f.Hash == w.Given }
		i := slices.IndexFunc(files, given)
		if i < 0 || p.KeepPair == nil {
			return rhumb.Errorf(rhumb.Internal, "the release doesn't hold the certificate of %s", w.Host)
		}
		if err := p.KeepPair(ctx, w.Given, files[i].Content); err != nil {
			return err
		}
	}
	return p.Desk.Certify(ctx, p.stack, wishes)
}
