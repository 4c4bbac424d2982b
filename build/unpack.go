package build

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"rhumb"
)

// A Dockerfile from outside the context travels under these names; it is unpacked beside the context.
const (
	outsideDockerfile = ".rhumb.dockerfile"
	outsideIgnore     = ".rhumb.dockerfile.dockerignore"
)

const maxName = 4096 // bytes of a path; what Linux takes

// limits bound what a stranger's tar may make of our disk.
type limits struct {
	bytes int64 // of all files together
	files int   // files, folders and links
}

var defaultLimits = limits{bytes: 2 << 30, files: 200_000}

// unpacked is a build context on disk.
type unpacked struct {
	context string // the folder with the context
	beside  string // a folder for a Dockerfile that isn't in the context
	digest  string // over all names, modes, times and contents: equal contexts have equal digests
}

// unpack writes a tar stream into dir. Whatever it holds, nothing outside dir is touched or read: names that lead out
// are refused, links are made but never followed, and there are neither devices nor hard links.
func unpack(ctx context.Context, r io.Reader, dir string, max limits) (unpacked, error) {
	out := unpacked{context: filepath.Join(dir, "context"), beside: filepath.Join(dir, "beside")}
	u := unpacker{left: max, max: max, hash: sha256.New(), dirs: map[string]*tar.Header{".": nil}}
	for folder, root := range map[string]**os.Root{out.context: &u.context, out.beside: &u.beside} {
		if err := os.Mkdir(folder, 0o700); err != nil {
			return out, rhumb.Errorf(rhumb.Unavailable, "unpack the build context: %w", err)
		}
		opened, err := os.OpenRoot(folder)
		if err != nil {
			return out, rhumb.Errorf(rhumb.Unavailable, "unpack the build context: %w", err)
		}
		defer opened.Close()
		*root = opened
	}
	if err := u.all(tar.NewReader(interruptible{ctx, r})); err != nil {
		return out, err
	}
	out.digest = hex.EncodeToString(u.hash.Sum(nil))
	return out, nil
}

type unpacker struct {
	context, beside *os.Root
	left, max       limits
	hash            hash.Hash
	dirs            map[string]*tar.Header // made; nil: it had no entry of its own yet
	order           []string               // of dirs, as made
}

// interruptible ends with its context, also in the middle of a big file.
type interruptible struct {
	ctx context.Context
	io.Reader
}

// Read reads, unless the context has ended.
func (r interruptible) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

func (u *unpacker) all(t *tar.Reader) error {
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return u.finish()
		}
		if err != nil {
			return broken(err)
		}
		if err := u.entry(h, t); err != nil {
			return err
		}
	}
}

// broken is about the stream. What the reader says of itself, such as that a request is too big, is kept.
func broken(err error) error {
	var own *rhumb.Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return rhumb.Errorf(rhumb.Invalid, "the build context is not a whole tar stream: %w", err)
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return u.take(0)
	}
	name := path.Clean(h.Name)
	if len(h.Name) > maxName || len(h.Linkname) > maxName || !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
		return rhumb.Errorf(rhumb.Invalid, "the build context holds a name that can't be: %.100q", h.Name)
	}
	fmt.Fprintf(u.hash, "%c %q %o %d %d %q\n", h.Typeflag, name, h.Mode, h.Size, h.ModTime.UnixNano(), h.Linkname)
	var err error
	switch h.Typeflag {
	case tar.TypeDir:
		err = u.dir(name, h)
	case tar.TypeReg:
		err = u.file(name, h, content)
	case tar.TypeSymlink:
		err = u.symlink(name, h)
	default:
		return rhumb.Errorf(rhumb.Invalid, "the build context holds %q, which is no file, folder or symbolic link", name)
	}
	return explain(name, err)
}

// explain sorts what the disk says: a full disk is ours, the rest comes from what the tar holds.
func explain(name string, err error) error {
	var own *rhumb.Error
	switch {
	case err == nil, errors.As(err, &own), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrExist):
		return rhumb.Errorf(rhumb.Invalid, "the build context holds %q twice", name)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return rhumb.Errorf(rhumb.Unavailable, "unpack the build context: the disk is full: %w", err).
			WithHint("make room on the server: rhumb doctor shows its disks")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, tar.ErrHeader):
		return broken(err)
	default:
		return rhumb.Errorf(rhumb.Invalid, "the build context's %q can't be unpacked: %w", name, err)
	}
}

// take counts one more entry of so many bytes.
func (u *unpacker) take(bytes int64) error {
	u.left.files--
	u.left.bytes -= bytes
	hint := "name what the build doesn't need in .dockerignore"
	if u.left.files < 0 {
		return rhumb.Errorf(rhumb.Invalid, "the build context has more than %d files", u.max.files).WithHint("%s", hint)
	}
	if bytes < 0 || u.left.bytes < 0 {
		return rhumb.Errorf(rhumb.Invalid, "the build context is bigger than %d MB", u.max.bytes>>20).WithHint("%s", hint)
	}
	return nil
}

func (u *unpacker) dir(name string, h *tar.Header) error {
	if _, made := u.dirs[name]; made {
		if h != nil {
			u.dirs[name] = h
		}
		return nil
	}
	if err := u.dir(path.Dir(name), nil); err != nil {
		return err
	}
	if err := u.take(0); err != nil {
		return err
	}
	if err := u.context.Mkdir(name, 0o700); err != nil {
		return err
	}
	u.dirs[name] = h
	u.order = append(u.order, name)
	return nil
}

func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	if err := u.take(h.Size); err != nil {
		return err
	}
	root := u.context
	switch name {
	case outsideDockerfile:
		root, name = u.beside, "Dockerfile"
	case outsideIgnore:
		root, name = u.beside, "Dockerfile.dockerignore"
	default:
		if err := u.dir(path.Dir(name), nil); err != nil {
			return err
		}
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.MultiWriter(f, u.hash), content)
	if err == nil && n != h.Size {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = f.Chmod(h.FileInfo().Mode())
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return root.Chtimes(name, h.ModTime, h.ModTime)
}

func (u *unpacker) symlink(name string, h *tar.Header) error {
	if err := u.take(0); err != nil {
		return err
	}
	if err := u.dir(path.Dir(name), nil); err != nil {
		return err
	}
	return u.context.Symlink(h.Linkname, name)
}

// finish gives the folders their modes and times, the inner ones first: until now they had to be writable.
func (u *unpacker) finish() error {
	for i := len(u.order) - 1; i >= 0; i-- {
		name := u.order[i]
		mode, h := fs.FileMode(0o755), u.dirs[name]
		if h != nil {
			mode = h.FileInfo().Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
		}
		if err := u.context.Chmod(name, mode); err != nil {
			return explain(name, err)
		}
		if h == nil {
			continue
		}
		if err := u.context.Chtimes(name, h.ModTime, h.ModTime); err != nil {
			return explain(name, err)
		}
	}
	return nil
}

// discard removes a folder with all that was unpacked in it, whatever modes that has.
func discard(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(p string, e fs.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(p, 0o700) //nolint:gosec // folders of our own; RemoveAll below tells what is left
		}
		return nil
	})
	return os.RemoveAll(dir)
}
