package seal_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"rhumb"
	"rhumb/internal/seal"
)

func open(t *testing.T, path string) *seal.Box {
	t.Helper()
	box, err := seal.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return box
}

func TestSealedDataOpensAfterTheKeyIsLoadedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "key")
	sealed, err := open(t, path).Seal([]byte("canary"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("canary")) {
		t.Fatal("the sealed bytes hold the plain ones")
	}
	plain, err := open(t, path).Open(sealed)
	if err != nil || string(plain) != "canary" {
		t.Fatalf("got %q, %v", plain, err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Fatalf("the key file's mode is %v", info.Mode())
	}
}

func TestEmptyBytesCanBeSealed(t *testing.T) {
	box := open(t, filepath.Join(t.TempDir(), "key"))
	sealed, err := box.Seal(nil)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := box.Open(sealed); err != nil || len(plain) != 0 {
		t.Fatalf("got %q, %v", plain, err)
	}
}

func TestAnyFlippedBitIsNoticed(t *testing.T) {
	box := open(t, filepath.Join(t.TempDir(), "key"))
	sealed, err := box.Seal([]byte("a few plain words"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if plain, err := box.Open(bad); err == nil {
			t.Fatalf("byte %d was changed, and Open returned %q", i, plain)
		}
		if _, err := box.Open(sealed[:i]); !errors.Is(err, seal.ErrDamaged) {
			t.Fatalf("cut to %d bytes it gives %v", i, err)
		}
	}
}

func TestDataOfAnotherKeyIsRecognized(t *testing.T) {
	dir := t.TempDir()
	sealed, err := open(t, filepath.Join(dir, "one")).Seal([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = open(t, filepath.Join(dir, "two")).Open(sealed)
	if err == nil || !strings.Contains(err.Error(), "another key") || rhumb.ErrorHint(err) == "" ||
		errors.Is(err, seal.ErrDamaged) {
		t.Fatalf("got %v", err)
	}
}

func TestAKeyFileThatOthersMayReadIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	open(t, path)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o644, 0o620} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := seal.Open(path)
		if rhumb.ErrorCode(err) != rhumb.Denied || !strings.Contains(rhumb.ErrorHint(err), "chmod 600") {
			t.Fatalf("mode %v: got %v, hint %q", mode, err, rhumb.ErrorHint(err))
		}
	}
}

func TestAKeyFileThatDoesNotParseIsRefusedAndKept(t *testing.T) {
	good, err := os.ReadFile(func() string { p := filepath.Join(t.TempDir(), "key"); open(t, p); return p }())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty": "", "cut": string(good[:len(good)-9]), "words": "not a key\n", "only comments": "# nothing\n",
		"two keys": string(good) + string(good), "huge": strings.Repeat("#\n", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := seal.Open(path)
			if rhumb.ErrorCode(err) != rhumb.Invalid {
				t.Fatalf("got %v", err)
			}
			if strings.Contains(err.Error(), "AGE-SECRET") || strings.Contains(rhumb.ErrorHint(err), "AGE-SECRET") {
				t.Fatal("the error shows the key")
			}
			if now, _ := os.ReadFile(path); string(now) != text {
				t.Fatal("the file was changed")
			}
		})
	}
}

func TestManyOpeningAtOnceGetTheSameKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	boxes := make([]*seal.Box, 20)
	var wg sync.WaitGroup
	for i := range boxes {
		wg.Go(func() { boxes[i], _ = seal.Open(path) })
	}
	wg.Wait()
	sealed, err := boxes[0].Seal([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range boxes {
		if _, err := b.Open(sealed); err != nil {
			t.Fatalf("box %d: %v", i, err)
		}
	}
}

func FuzzAnyKeyFileAndAnySealedBytesGiveAnErrorAndNoPanic(f *testing.F) {
	f.Add([]byte("# c\nAGE-SECRET-KEY-1"), []byte("age-encryption.org/v1\n-> X25519 "))
	f.Fuzz(func(t *testing.T, key, sealed []byte) {
		dir := t.TempDir()
		path := filepath.Join(dir, "key")
		if err := os.WriteFile(path, key, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _ = seal.Open(path)
		box, err := seal.Open(filepath.Join(dir, "good"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := box.Open(sealed); err == nil {
			t.Fatal("random bytes opened")
		}
	})
}

func TestAKeyDependsOnlyOnItsPurpose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	a, again, b := open(t, path).Key("a"), open(t, path).Key("a"), open(t, path).Key("b")
	other := open(t, filepath.Join(t.TempDir(), "key")).Key("a")
	if len(a) != 32 || !bytes.Equal(a, again) || bytes.Equal(a, b) || bytes.Equal(a, other) {
		t.Errorf("got %x, %x, %x and %x", a, again, b, other)
	}
}
