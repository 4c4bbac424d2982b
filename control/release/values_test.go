package release

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"rhumb"
)

// filled fills in the files of a model, with this key and this token, over the current release (nil: none).
func filled(t *testing.T, key, token string, current *rhumb.Release) rhumb.Stack {
	t.Helper()
	m := withSecrets(t)
	k := Maker{Store: &memory{values: map[string]string{"token": token}}, Key: []byte(key)}
	d := draft{Maker: &k, current: current, model: &m}
	if err := d.fillFiles(t.Context()); err != nil || d.missing != nil {
		t.Fatal(err, d.missing)
	}
	return m
}

// withSecrets returns a stack whose service mounts a secret, an empty config and an external secret.
func withSecrets(t *testing.T) rhumb.Stack {
	t.Helper()
	m := rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web"}}, Files: []rhumb.File{
		{Kind: rhumb.FileSecret, Name: "pin", Content: []byte("1234"), Hash: plain("1234")},
		{Kind: rhumb.FileConfig, Name: "empty", Content: []byte{}, Hash: plain("")},
		{Kind: rhumb.FileSecret, Name: "token", External: "token"},
		{Kind: rhumb.FileCertificate, Name: "shop.pem", Content: []byte("pair"), Hash: plain("pair")},
	}}
	for _, f := range m.Files[:3] {
		mount := rhumb.Mount{Type: rhumb.MountFile, Kind: f.Kind, Source: f.Name, Target: "/" + f.Name}
		m.Services[0].Container.Mounts = append(m.Services[0].Container.Mounts, mount)
	}
	return m
}

func plain(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func TestMountsCarryAKeyedHashOfASecret(t *testing.T) {
	hashes := map[string]bool{plain("1234"): true, plain(""): true, plain("abc"): true}
	for _, key := range []string{"one", "two"} {
		m := filled(t, key, "abc", nil)
		for i, mount := range m.Services[0].Container.Mounts {
			if hashes[mount.Hash] || len(mount.Hash) != sha256.Size*2 || mount.Hash != m.Files[i].Hash {
				t.Errorf("key %s: %s has the hash %s, its file %s", key, mount.Source, mount.Hash, m.Files[i].Hash)
			}
			hashes[mount.Hash] = true
		}
		if m.Files[3].Hash != plain("pair") {
			t.Errorf("the certificate's hash is %s", m.Files[3].Hash)
		}
	}
}

func TestAnUnchangedFileKeepsItsHash(t *testing.T) {
	old := withSecrets(t)
	old.Files[2].Content, old.Files[2].Hash = []byte("abc"), plain("abc")
	m := filled(t, "one", "new", &rhumb.Release{Model: old})
	for i, same := range []bool{true, true, false} {
		if mount := m.Services[0].Container.Mounts[i]; (mount.Hash == old.Files[i].Hash) != same {
			t.Errorf("%s: the hash was %s and is %s", mount.Source, old.Files[i].Hash, mount.Hash)
		}
	}
}
