package release

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"rhumb"
)

// kept is a Store of values.
type kept struct {
	memory
	values map[string]string
}

func (k *kept) Value(_ context.Context, name string) ([]byte, error) {
	return []byte(k.values[name]), nil
}

// nothing is the release that serves where none does.
func nothing(context.Context, string) (*rhumb.Release, error) { return nil, nil }

// withSecrets is a stack whose service mounts a secret, an empty config and a value of the server's.
func withSecrets(t *testing.T) rhumb.Stack {
	t.Helper()
	m := rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web"}}, Files: []rhumb.File{
		{Kind: rhumb.FileSecret, Name: "pin", Content: []byte("1234"), Hash: plain("1234")},
		{Kind: rhumb.FileConfig, Name: "empty", Content: []byte{}, Hash: plain("")},
		{Kind: rhumb.FileSecret, Name: "token", External: "token"},
		{Kind: rhumb.FileCertificate, Name: "shop.pem", Content: []byte("pair"), Hash: plain("pair")},
	}}
	for _, f := range m.Files[:3] {
		m.Services[0].Container.Mounts = append(m.Services[0].Container.Mounts, rhumb.Mount{Type: rhumb.MountFile, Kind: f.Kind, Source: f.Name, Target: "/" + f.Name})
	}
	return m
}

func plain(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func TestWhatReplicasCarryOfASecretIsAKeyedHash(t *testing.T) {
	hashes := map[string]bool{plain("1234"): true, plain(""): true, plain("abc"): true}
	for _, key := range []string{"one", "two"} {
		m := withSecrets(t)
		k := Maker{Store: &kept{values: map[string]string{"token": "abc"}}, Current: nothing, Key: []byte(key)}
		if _, err := k.fillValues(t.Context(), &m); err != nil {
			t.Fatal(err)
		}
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

func TestAnUnchangedFileKeepsTheHashOfTheReleaseThatServes(t *testing.T) {
	old := withSecrets(t)
	old.Files[2].Content, old.Files[2].Hash = []byte("abc"), plain("abc")
	current := func(context.Context, string) (*rhumb.Release, error) { return &rhumb.Release{Model: old}, nil }
	m := withSecrets(t)
	k := Maker{Store: &kept{values: map[string]string{"token": "new"}}, Current: current, Key: []byte("one")}
	if _, err := k.fillValues(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	for i, same := range []bool{true, true, false} {
		if mount := m.Services[0].Container.Mounts[i]; (mount.Hash == old.Files[i].Hash) != same {
			t.Errorf("%s: the hash was %s and is %s", mount.Source, old.Files[i].Hash, mount.Hash)
		}
	}
}
