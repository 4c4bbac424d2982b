package dockerauth_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rhumb"
	"rhumb/internal/dockerauth"
)

func write(t *testing.T, path, content string, perm os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), perm); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyTheRegistriesOfTheImagesAreAskedFor(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	write(t, filepath.Join(dir, "docker-credential-vault"), `#!/bin/sh
read key
echo "$key" >>`+dir+`/asked
case $key in
one.example) echo '{"ServerURL":"one.example","Username":"ada","Secret":"s1"}' ;;
token.example) echo '{"Username":"<token>","Secret":"t"}' ;;
*) echo "credentials not found in native keychain"; exit 1 ;;
esac
`, 0o755)
	write(t, filepath.Join(dir, "config.json"), `{"credHelpers":{"one.example":"vault","token.example":"vault",
"none.example":"vault","unasked.example":"vault"},
"auths":{"https://index.docker.io/v1/":{"auth":"Ym9iOnBhOnNz"},"two.example:5000":{"username":"u","password":"p"}}}`, 0o600)
	c, err := dockerauth.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	got, err := c.For(t.Context(),
		[]string{"nginx", "one.example/a:1", "one.example/b", "token.example/x@sha256:" + string(make64()), "none.example/n",
			"two.example:5000/z", "UPPER/case", ""})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]rhumb.Credentials{
		"docker.io": {Username: "bob", Password: "pa:ss"}, "one.example": {Username: "ada", Password: "s1"},
		"token.example": {IdentityToken: "t"}, "two.example:5000": {Username: "u", Password: "p"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	asked, err := os.ReadFile(filepath.Join(dir, "asked"))
	if err != nil || string(asked) != "one.example\ntoken.example\nnone.example\n" {
		t.Errorf("the helper was asked for %q, %v", asked, err)
	}
}

func make64() []byte {
	b := make([]byte, 64)
	for i := range b {
		b[i] = 'a'
	}
	return b
}

func TestAMissingConfigurationIsEmptyAndABrokenOneAnError(t *testing.T) {
	dir := t.TempDir()
	c, err := dockerauth.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.For(t.Context(), []string{"nginx"}); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	write(t, filepath.Join(dir, "config.json"), `{"auths":`, 0o600)
	if _, err := dockerauth.Load(dir); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestAHelperThatFailsIsDenied(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "config.json"), `{"credsStore":"missing-`+filepath.Base(dir)+`"}`, 0o600)
	c, err := dockerauth.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.For(t.Context(), []string{"nginx"}); rhumb.ErrorCode(err) != rhumb.Denied {
		t.Errorf("got %v", err)
	}
}

func TestARegistryHasOneNameHoweverItIsWritten(t *testing.T) {
	for key, want := range map[string]string{
		"https://index.docker.io/v1/": "docker.io", "registry-1.docker.io": "docker.io", "docker.io": "docker.io",
		"http://one.example:5000/": "one.example:5000", "one.example": "one.example",
	} {
		if got := dockerauth.Host(key); got != want {
			t.Errorf("%s: %s", key, got)
		}
	}
}
