// Package scripts tests the scripts that build and install releases.
package scripts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// release makes a folder as scripts/release does, with a program that only prints its version.
func release(t *testing.T) (dir, archive string) {
	t.Helper()
	dir = t.TempDir()
	name := "rhumb_v1.2.3_linux_" + runtime.GOARCH
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	program := "#!/bin/sh\necho client rhumb v1.2.3\n"
	if err := w.WriteHeader(&tar.Header{Name: name + "/rhumb", Mode: 0o755, Size: int64(len(program)),
		Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte(program))
	_ = w.Close()
	_ = z.Close()
	archive = filepath.Join(dir, name+".tar.gz")
	write(t, archive, b.Bytes())
	write(t, filepath.Join(dir, "SHA256SUMS"),
		fmt.Appendf(nil, "%x  %s\n%x  other\n", sha256.Sum256(b.Bytes()), filepath.Base(archive), sha256.Sum256(nil)))
	return dir, archive
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// install runs the script. It returns the output, and whether the program is installed afterwards.
func install(t *testing.T, args ...string) (out string, there bool, err error) {
	t.Helper()
	to := t.TempDir()
	b, err := exec.Command("sh", append([]string{"install.sh", "--to", to}, args...)...).CombinedOutput()
	left, listErr := os.ReadDir(to)
	if listErr != nil {
		t.Fatal(listErr)
	}
	return string(b), len(left) > 0, err
}

func TestAReleaseIsInstalledFromAFolderAndFromTheNetwork(t *testing.T) {
	dir, _ := release(t)
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer server.Close()
	sources := []string{dir}
	for _, tool := range []string{"curl", "wget"} {
		if _, err := exec.LookPath(tool); err == nil {
			sources = append(sources, server.URL)
			break
		}
	}
	for _, from := range sources {
		for _, version := range [][]string{nil, {"--version", "v1.2.3"}} {
			out, there, err := install(t, append([]string{"--from", from}, version...)...)
			if err != nil || !there || !strings.Contains(out, "rhumb v1.2.3") || !strings.Contains(out, "rhumb install") {
				t.Errorf("from %s: %v, installed: %v\n%s", from, err, there, out)
			}
		}
		if out, there, err := install(t, "--from", from, "--version", "v9"); err == nil || there {
			t.Errorf("a version that isn't there is installed from %s:\n%s", from, out)
		}
	}
}

func TestADownloadOverTLSIsNotRedirectedToPlainHTTP(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("there is no curl")
	}
	dir, _ := release(t)
	clear := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer clear.Close()
	for to, want := range map[string]bool{"": true, clear.URL: false} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if to == "" {
				http.FileServer(http.Dir(dir)).ServeHTTP(w, r)
				return
			}
			http.Redirect(w, r, to+r.URL.Path, http.StatusFound)
		}))
		defer server.Close()
		root := filepath.Join(t.TempDir(), "root.pem")
		write(t, root, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		t.Setenv("CURL_CA_BUNDLE", root)
		if out, there, err := install(t, "--from", server.URL); there != want || (err == nil) != want {
			t.Errorf("redirected to %q: %v, installed: %v\n%s", to, err, there, out)
		}
	}
}

func TestAnArchiveWithAWrongChecksumIsNotInstalled(t *testing.T) {
	for name, spoil := range map[string]func(dir, archive string, content []byte){
		"a flipped byte": func(_, archive string, b []byte) { b[len(b)/2] ^= 1; write(t, archive, b) },
		"the first byte": func(_, archive string, b []byte) { b[0] ^= 0x80; write(t, archive, b) },
		"cut off":        func(_, archive string, b []byte) { write(t, archive, b[:len(b)-1]) },
		"empty":          func(_, archive string, _ []byte) { write(t, archive, nil) },
		"no checksums":   func(dir, _ string, _ []byte) { _ = os.Remove(filepath.Join(dir, "SHA256SUMS")) },
		"checksums of others": func(dir, _ string, _ []byte) {
			write(t, filepath.Join(dir, "SHA256SUMS"), []byte(strings.Repeat("0", 64)+"  other\n"))
		},
		"checksums cut off": func(dir, archive string, _ []byte) {
			write(t, filepath.Join(dir, "SHA256SUMS"), []byte("0  "+filepath.Base(archive)+"\n"))
		},
		"two checksums for it": func(dir, archive string, b []byte) {
			line := fmt.Sprintf("%x  %s\n", sha256.Sum256(b), filepath.Base(archive))
			write(t, filepath.Join(dir, "SHA256SUMS"), []byte(line+strings.Repeat("0", 64)+"  "+filepath.Base(archive)+"\n"))
		},
	} {
		dir, archive := release(t)
		b, err := os.ReadFile(archive)
		if err != nil {
			t.Fatal(err)
		}
		spoil(dir, archive, b)
		if out, there, err := install(t, "--from", dir, "--version", "v1.2.3"); err == nil || there ||
			!strings.Contains(out, "install.sh: ") {
			t.Errorf("%s: %v, installed: %v\n%s", name, err, there, out)
		}
	}
}

// "make release-check" compares more: both machines, and a build without a cache.
func TestAReleaseBuiltInAnotherFolderIsIdentical(t *testing.T) {
	if os.Getenv("RHUMB_TEST_LONG") != "1" {
		t.Skip("it builds the program twice; RHUMB_TEST_LONG=1 does")
	}
	var sums []string
	from := ".."
	for _, place := range []string{"a", "b/c"} {
		root := filepath.Join(t.TempDir(), place)
		out := t.TempDir()
		if b, err := exec.Command("git", "clone", "-q", from, root).CombinedOutput(); err != nil {
			t.Skipf("this is no git repository: %s", b)
		}
		from = root // the same commit
		cmd := exec.Command(filepath.Join(root, "scripts/release"), out, runtime.GOARCH)
		cmd.Env = append(os.Environ(), "VERSION=v1.2.3")
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, b)
		}
		b, err := os.ReadFile(filepath.Join(out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, string(b))
		bill(t, filepath.Join(out, "rhumb_v1.2.3_linux_"+runtime.GOARCH+".spdx.json"))
	}
	if sums[0] != sums[1] {
		t.Errorf("the checksums are\n%s\nand\n%s", sums[0], sums[1])
	}
}

// bill checks a bill of materials.
func bill(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		SpdxVersion string
		Packages    []struct {
			Name, VersionInfo string
			Checksums         []struct{ ChecksumValue string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, p := range d.Packages {
		found[p.Name] = p.VersionInfo != "" &&
			(p.Name == "std" || len(p.Checksums) == 1 && len(p.Checksums[0].ChecksumValue) == 64)
	}
	for _, name := range []string{"rhumb", "std", "modernc.org/sqlite", "filippo.io/age", "github.com/moby/moby/client"} {
		if !found[name] {
			t.Errorf("the bill of materials lacks %s, or its version or checksum", name)
		}
	}
	if d.SpdxVersion != "SPDX-2.3" {
		t.Errorf("it is of version %q", d.SpdxVersion)
	}
}
