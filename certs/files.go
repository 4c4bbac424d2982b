package certs

import (
	"context"
	"strings"

	"rhumb"
)

const filesKey = "route"

// KeepFile implements rhumb.CertificateStore.
func (s *Store) KeepFile(ctx context.Context, hash string, content []byte) error {
	key, err := fileKey(hash)
	if err != nil {
		return err
	}
	return s.storage.Store(ctx, key, content)
}

// RouteFiles returns what reads the files of routes that the store of a folder keeps, by their hashes. It returns
// NotFound if there is none.
func RouteFiles(dir string, box Sealer) func(hash string) ([]byte, error) {
	kept := newStorage(dir, box)
	return func(hash string) ([]byte, error) {
		key, err := fileKey(hash)
		if err != nil {
			return nil, err
		}
		b, err := kept.Load(context.Background(), key) // which waits for nothing but the disk
		if err != nil {
			return nil, rhumb.Errorf(rhumb.NotFound, "file %.12s of a route: %w", hash, err)
		}
		return b, nil
	}
}

func fileKey(hash string) (string, error) {
	if hash == "" || strings.Trim(hash, "0123456789abcdef") != "" {
		return "", rhumb.Errorf(rhumb.Invalid, "%q is not the hash of a file of routes", hash)
	}
	return filesKey + "/" + hash, nil
}

// filesOf returns the hashes of the files that a table's routes need.
func filesOf(t rhumb.Table) map[string]bool {
	used := map[string]bool{}
	for i := range t.Options {
		for _, f := range t.Options[i].Files() {
			used[f.Hash] = true
		}
	}
	return used
}
