package build

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"rhumb"
)

// tree writes files into a new folder. A name that ends with a slash is a folder; content that begins with "-> " is a
// link.
func tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		target, link := strings.CutPrefix(content, "-> ")
		switch {
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(file, 0o755)
		case link:
			err = os.Symlink(target, file)
		default:
			err = os.WriteFile(file, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func pack(t testing.TB, dir, dockerfile string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Tar(&b, dir, dockerfile); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func names(t testing.TB, b []byte) (list []string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, h.Name)
	}
}

func TestDockerignoreIsHonoured(t *testing.T) {
	files := map[string]string{
		"Dockerfile": "FROM scratch", ".dockerignore": "# all of it\n*\n!src\nsrc/**/*.tmp\nDockerfile\n", "secret.txt": "x",
		"src/a.go": "a", "src/deep/b.tmp": "b", "src/deep/c.go": "c", "node_modules/x/y": "z",
	}
	want := []string{".dockerignore", "Dockerfile", "src/", "src/a.go", "src/deep/", "src/deep/c.go"}
	if got := names(t, pack(t, tree(t, files), "")); !slices.Equal(got, want) {
		t.Fatalf("got %q", got)
	}
	files["Dockerfile.dockerignore"] = "src\n"
	want = []string{".dockerignore", "Dockerfile", "Dockerfile.dockerignore", "node_modules/", "node_modules/x/",
		"node_modules/x/y", "secret.txt"}
	if got := names(t, pack(t, tree(t, files), "Dockerfile")); !slices.Equal(got, want) {
		t.Fatalf("with Dockerfile.dockerignore: got %q", got)
	}
}

func TestAPackedContextIsUnpackedUnchanged(t *testing.T) {
	dir := tree(t, map[string]string{
		"Dockerfile": "FROM scratch", "run.sh": "#!/bin/sh", "empty/": "", "inner/link": "-> ../run.sh",
		"abs":                              "-> /etc/passwd",
		"läng/" + strings.Repeat("n", 200): "long",
	})
	at := time.Date(2020, 2, 3, 4, 5, 6, 789, time.UTC)
	for name, mode := range map[string]fs.FileMode{"run.sh": 0o751 | fs.ModeSetuid, "empty": 0o500} {
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	packed := pack(t, dir, "")
	if !bytes.Equal(packed, pack(t, dir, "")) {
		t.Fatal("the same folder gave two streams")
	}
	if err := os.Remove(filepath.Join(dir, "sock")); err != nil {
		t.Fatal(err)
	}
	out, err := unpack(t.Context(), bytes.NewReader(packed), t.TempDir(), defaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(listing(t, dir), listing(t, out.context)); diff != "" {
		t.Fatalf("differs:\n%s", diff)
	}
}

func listing(t *testing.T, dir string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p == dir {
			return err
		}
		info, err := os.Lstat(p)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		line := fmt.Sprintf("%s %v", rel, info.Mode())
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			line += fmt.Sprintf(" %v %q", info.ModTime().UnixNano(), b)
		case info.Mode().Type() == fs.ModeSymlink:
			to, _ := os.Readlink(p)
			line += " " + to
		default:
			line += fmt.Sprint(" ", info.ModTime().UnixNano())
		}
		list = append(list, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestADockerfileOutsideOfTheContextIsAdded(t *testing.T) {
	dir := tree(t, map[string]string{"app/a": "a", "app/b": "b", "docker/web": "FROM scratch",
		"docker/web.dockerignore": "b\n"})
	packed := pack(t, filepath.Join(dir, "app"), "../docker/web")
	if got := names(t, packed); !slices.Equal(got, []string{"a", outsideDockerfile, outsideIgnore}) {
		t.Fatalf("got %q", got)
	}
	out, err := unpack(t.Context(), bytes.NewReader(packed), t.TempDir(), defaultLimits)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(out.beside, "Dockerfile")); err != nil || string(b) != "FROM scratch" {
		t.Fatalf("got %q, %v", b, err)
	}
	if e, _ := os.ReadDir(out.context); len(e) != 1 {
		t.Fatalf("the context holds %v", e)
	}
}

func TestErrorsInAContextNameTheFile(t *testing.T) {
	dir := tree(t, map[string]string{"bad/.dockerignore": "a[\n", "file": "", "folder/x": "", "bad/Dockerfile": ""})
	for _, c := range []struct{ dir, dockerfile, want string }{
		{"none", "", "none"}, {"file", "", "not a folder"}, {"folder", "Dockerfile", "Dockerfile"},
		{"folder", "../folder", "not a file"}, {"bad", "", ".dockerignore: invalid pattern"},
	} {
		err := Tar(io.Discard, filepath.Join(dir, c.dir), c.dockerfile)
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %s: got %v", c.dir, c.dockerfile, err)
		}
	}
}

func TestAnErrorOfTheReceiverIsReturned(t *testing.T) {
	dir := tree(t, map[string]string{"Dockerfile": strings.Repeat("x", 1<<20)})
	r, w := io.Pipe()
	gone := errors.New("gone")
	r.CloseWithError(gone)
	if err := Tar(w, dir, ""); !errors.Is(err, gone) || rhumb.ErrorCode(err) == rhumb.Invalid {
		t.Fatalf("got %v", err)
	}
}

func stream(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if h.Mode == 0 {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestNoEntryEscapesTheContext(t *testing.T) {
	victim := tree(t, map[string]string{"kept": "kept"})
	for name, headers := range map[string][]*tar.Header{
		"dots":               {{Name: "../x"}},
		"dots within":        {{Name: "a/../../x"}},
		"absolute":           {{Name: "/etc/x"}},
		"through a link":     {{Name: "out", Typeflag: tar.TypeSymlink, Linkname: victim}, {Name: "out/kept", Size: 3}},
		"through a relative": {{Name: "out", Typeflag: tar.TypeSymlink, Linkname: "../.."}, {Name: "out/x", Size: 3}},
		"a folder in a link": {{Name: "out", Typeflag: tar.TypeSymlink, Linkname: victim},
			{Name: "out/new/", Typeflag: tar.TypeDir}},
		"over a link":        {{Name: "l", Typeflag: tar.TypeSymlink, Linkname: victim + "/kept"}, {Name: "l", Size: 3}},
		"hard link":          {{Name: "l", Typeflag: tar.TypeLink, Linkname: victim + "/kept"}},
		"device":             {{Name: "null", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3}},
		"pipe":               {{Name: "pipe", Typeflag: tar.TypeFifo}},
		"twice":              {{Name: "a", Size: 1}, {Name: "./a", Size: 2}},
		"a file as a folder": {{Name: "a", Size: 1}, {Name: "a/b"}},
		"too long":           {{Name: strings.Repeat("d/", 3000)}},
		"the root as a file": {{Name: ".", Typeflag: tar.TypeReg}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			_, err := unpack(t.Context(), bytes.NewReader(stream(t, headers...)), dir, defaultLimits)
			if rhumb.ErrorCode(err) != rhumb.Invalid {
				t.Fatalf("got %v", err)
			}
			if e, _ := os.ReadDir(dir); len(e) != 2 {
				t.Fatalf("beside the folders there is something else: %v", e)
			}
			if b, _ := os.ReadFile(filepath.Join(victim, "kept")); string(b) != "kept" {
				t.Fatal("a file outside was changed")
			}
			if e, _ := os.ReadDir(victim); len(e) != 1 {
				t.Fatal("a file outside was made")
			}
		})
	}
}

func TestAContextHasLimits(t *testing.T) {
	for name, c := range map[string]struct {
		max     limits
		headers []*tar.Header
		want    string
	}{
		"bytes":          {limits{9, 10}, []*tar.Header{{Name: "a", Size: 5}, {Name: "b", Size: 5}}, "larger than"},
		"files":          {limits{9, 2}, []*tar.Header{{Name: "a"}, {Name: "b"}, {Name: "c"}}, "more than 2 files"},
		"nested folders": {limits{9, 2}, []*tar.Header{{Name: "a/b/c/d"}}, "more than 2 files"},
		"links": {limits{9, 1},
			[]*tar.Header{{Name: "a", Typeflag: tar.TypeSymlink, Linkname: "x"},
				{Name: "b", Typeflag: tar.TypeSymlink, Linkname: "x"}}, "more than 1"},
		"within the most": {limits{10, 2}, []*tar.Header{{Name: "a", Size: 5}, {Name: "b", Size: 5}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := unpack(t.Context(), bytes.NewReader(stream(t, c.headers...)), t.TempDir(), c.max)
			if c.want == "" && err != nil ||
				c.want != "" && (rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("got %v", err)
			}
		})
	}
}

func TestAStreamThatIsCutShortIsRefused(t *testing.T) {
	whole := stream(t, &tar.Header{Name: "a", Size: 2000})
	for _, n := range []int{1, 600, 1500, 2300} {
		_, err := unpack(t.Context(), bytes.NewReader(whole[:n]), t.TempDir(), defaultLimits)
		if rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("cut to %d: got %v", n, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := unpack(ctx, bytes.NewReader(whole), t.TempDir(), defaultLimits); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}

func TestOnlyEqualContextsHaveEqualDigests(t *testing.T) {
	digest := func(h ...*tar.Header) string {
		out, err := unpack(t.Context(), bytes.NewReader(stream(t, h...)), t.TempDir(), defaultLimits)
		if err != nil {
			t.Fatal(err)
		}
		return out.digest
	}
	one := digest(&tar.Header{Name: "a", Size: 3})
	if one != digest(&tar.Header{Name: "a", Size: 3}) {
		t.Fatal("equal contexts differ")
	}
	for _, h := range []*tar.Header{{Name: "b", Size: 3}, {Name: "a", Size: 4}, {Name: "a", Size: 3, Mode: 0o755}} {
		if one == digest(h) {
			t.Fatalf("%+v is taken for the same", h)
		}
	}
}

func FuzzNoStreamEscapesOrPanics(f *testing.F) {
	f.Add(stream(f, &tar.Header{Name: "a/b", Size: 10}, &tar.Header{Name: "l", Typeflag: tar.TypeSymlink, Linkname: "/"},
		&tar.Header{Name: "l/x"}))
	f.Add(stream(f, &tar.Header{Name: "../x", Size: 1}))
	f.Add(stream(f, &tar.Header{Name: outsideDockerfile, Size: 1}))
	f.Add([]byte("not a tar"))
	f.Fuzz(func(t *testing.T, b []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "in")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := unpack(t.Context(), bytes.NewReader(b), dir, limits{bytes: 1 << 20, files: 100})
		if err != nil && rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Fatalf("got %v", err)
		}
		if e, _ := os.ReadDir(top); len(e) != 1 {
			t.Fatalf("escaped: %v", e)
		}
		if e, _ := os.ReadDir(dir); len(e) != 2 {
			t.Fatalf("escaped: %v", e)
		}
		if err := discard(dir); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSweepRemovesTheContextsOfADeadDaemon(t *testing.T) {
	dir := tree(t, map[string]string{"rhumb-build-1/context/locked/x": "x", "rhumb-build-2/": "", "kept": "kept"})
	if err := os.Chmod(filepath.Join(dir, "rhumb-build-1/context/locked"), 0); err != nil {
		t.Fatal(err)
	}
	b := New(nil, nil)
	b.Dir = dir
	if err := b.Sweep(); err != nil {
		t.Fatal(err)
	}
	if e, _ := os.ReadDir(dir); len(e) != 1 || e[0].Name() != "kept" {
		t.Fatalf("left: %v", e)
	}
}

func TestAFullDiskIsReportedAsSuch(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	dir := t.TempDir()
	if err := unix.Mount("rhumb-test", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatal(err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	b := New(nil, slog.New(slog.DiscardHandler))
	b.Dir = dir
	r := rhumb.BuildRequest{Stack: "shop", Service: "web", Name: "shop-web:1", Build: rhumb.Build{Context: "."}}
	_, err := b.Build(t.Context(), r, bytes.NewReader(stream(t, &tar.Header{Name: "big", Size: 100 << 10})), nil)
	if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), "the disk is full: write "+dir) ||
		rhumb.ErrorHint(err) == "" {
		t.Errorf("%v; hint: %s", err, rhumb.ErrorHint(err))
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}
