package certs

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"rhumb"
)

func TestStorageKeepsValuesSealedAndInItsFolder(t *testing.T) {
	dir := t.TempDir()
	s, ctx := newStorage(filepath.Join(dir, "certs"), newBox(t, dir)), t.Context()
	if _, err := s.Load(ctx, "a/b"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing value: %v", err)
	}
	for _, k := range []string{"a/b", "a/c/d", "x"} {
		if err := s.Store(ctx, k, []byte("a canary of "+k)); err != nil {
			t.Fatal(err)
		}
	}
	if b, err := s.Load(ctx, "a/c/d"); err != nil || string(b) != "a canary of a/c/d" {
		t.Errorf("got %q %v", b, err)
	}
	flat, err := s.List(ctx, "a", false)
	if want := []string{"a/b", "a/c"}; err != nil || !slices.Equal(flat, want) {
		t.Errorf("got %v %v, want %v", flat, err, want)
	}
	if i, err := s.Stat(ctx, "a/b"); err != nil || !i.IsTerminal || i.Modified.IsZero() {
		t.Errorf("got %+v %v", i, err)
	}
	for _, bad := range []string{"../x", "a/../../x", "/etc/x", "a\x00"} {
		if err := s.Store(ctx, bad, nil); err == nil {
			t.Errorf("%q was stored", bad)
		}
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil || bytes.Contains(b, []byte("canary")) {
				t.Errorf("%s holds a value in clear (%v)", path, err)
			}
			if info, err := d.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s may be read by others", path)
			}
		}
		return err
	})
	if err := s.Delete(ctx, "a"); err != nil || s.Exists(ctx, "a/c/d") || !s.Exists(ctx, "x") {
		t.Errorf("delete: %v", err)
	}
	if err != nil {
		t.Error(err)
	}
}

// An interrupted registration leaves its account's key. The next order must not take the folder's name for an address.
func TestAnInterruptedAccountGivesNoAddress(t *testing.T) {
	dir := t.TempDir()
	s, ctx := newStorage(filepath.Join(dir, "certs"), newBox(t, dir)), t.Context()
	key := "acme/authority/users/default/default.key"
	if err := s.Store(ctx, key, []byte("key")); err != nil {
		t.Fatal(err)
	}
	if keys, err := s.List(ctx, "acme/authority/users", false); !errors.Is(err, fs.ErrNotExist) || len(keys) > 0 {
		t.Errorf("accounts to choose from: %v, %v", keys, err)
	}
	if b, err := s.Load(ctx, key); err != nil || string(b) != "key" {
		t.Errorf("the account is lost: %q, %v", b, err)
	}
}

func TestALockHasOneHolder(t *testing.T) {
	dir := t.TempDir()
	box := newBox(t, dir)
	one, other := newStorage(dir, box), newStorage(dir, box) // as two processes have them
	if err := one.Lock(t.Context(), "shop"); err != nil {
		t.Fatal(err)
	}
	late, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for _, s := range []*storage{one, other} {
		if err := s.Lock(late, "shop"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a second holder: %v", err)
		}
	}
	if err := other.Lock(t.Context(), "blog"); err != nil {
		t.Errorf("another name: %v", err)
	}
	if err := one.Unlock(t.Context(), "shop"); err != nil {
		t.Error(err)
	}
	if err := other.Lock(t.Context(), "shop"); err != nil {
		t.Errorf("after it was given back: %v", err)
	}
	if one.Unlock(t.Context(), "shop") == nil {
		t.Error("what isn't locked was unlocked")
	}
}

func TestOldPairsThatNothingUsesArePruned(t *testing.T) {
	dir := t.TempDir()
	k := New(Options{Dir: dir, Box: newBox(t, dir)})
	for hash, age := range map[string]time.Duration{"used": 2 * time.Hour, "old": 2 * time.Hour, "new": 0} {
		key := pairsKey + "/" + hash
		if err := k.storage.Store(t.Context(), key, []byte("pair")); err != nil {
			t.Fatal(err)
		}
		path, err := k.storage.path(key)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	k.Manage(t.Context(), tableOf(rhumb.Certificate{Host: "shop.example.com", Source: rhumb.CertGiven, Given: "used"}))
	keys, err := k.storage.List(t.Context(), pairsKey, false)
	if want := []string{"given/new", "given/used"}; err != nil || !slices.Equal(keys, want) {
		t.Errorf("left are %v (%v), want %v", keys, err, want)
	}
}
