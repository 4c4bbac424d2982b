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

// A Dockerfile from outside the context has these names in the stream. It is unpacked beside the context.
const (
	outsideDockerfile = ".rhumb.dockerfile"
	outsideIgnore     = ".rhumb.dockerfile.dockerignore"
)

const maxName = 4096 // bytes of a path; Linux's limit

// limits bound the disk space that a client's stream may take.
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

// unpack unpacks a tar stream into dir. No stream can make it touch or read anything outside dir: it refuses paths
// that escape, creates links without following them, and creates no devices and no hard links.
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
	dirs            map[string]*tar.Header // created; nil: the stream has no entry for it yet
	order           []string               // of creation
}

// interruptible is a reader that fails once its context ends, even in the middle of a big file.
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

// broken returns the error of a stream that can't be read. An error of the reader itself, such as a request that is
// too big, is kept.
func broken(err error) error {
	var own *rhumb.Error
	if errors.As(err, &own) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return rhumb.Errorf(rhumb.Invalid, "the build context is not a complete tar stream: %w", err)
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return u.take(0)
	}
	name := path.Clean(h.Name)
	if len(h.Name) > maxName || len(h.Linkname) > maxName || !filepath.IsLocal(name) || strings.ContainsRune(name, 0) {
		return rhumb.Errorf(rhumb.Invalid, "invalid file name in the build context: %.100q", h.Name)
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
		return rhumb.Errorf(rhumb.Invalid, "the build context contains %q, which is not a file, folder or symbolic link",
			name)
	}
	return explain(name, err)
}

// explain turns an error of the disk into ours. A full disk is the server's fault; other errors come from the stream.
func explain(name string, err error) error {
	var own *rhumb.Error
	switch {
	case err == nil, errors.As(err, &own), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrExist):
		return rhumb.Errorf(rhumb.Invalid, "the build context contains %q twice", name)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return rhumb.Errorf(rhumb.Unavailable, "unpack the build context: the disk is full: %w", err).
			WithHint("free space on the server: rhumb doctor shows its disks")
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, tar.ErrHeader):
		return broken(err)
	default:
		return rhumb.Errorf(rhumb.Invalid, "%q in the build context can't be unpacked: %w", name, err)
	}
}

// take counts one more entry of the given size against the limits.
func (u *unpacker) take(bytes int64) error {
	u.left.files--
	u.left.bytes -= bytes
	hint := "add what the build doesn't need to .dockerignore"
	if u.left.files < 0 {
		return rhumb.Errorf(rhumb.Invalid, "the build context has more than %d files", u.max.files).WithHint("%s", hint)
	}
	if bytes < 0 || u.left.bytes < 0 {
		return rhumb.Errorf(rhumb.Invalid, "the build context is larger than %d MB", u.max.bytes>>20).WithHint("%s", hint)
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

// finish sets the modes and times of the folders, inner ones first: until now the folders had to be writable.
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

// discard removes a folder with everything unpacked in it, whatever the modes.
func discard(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(p string, e fs.DirEntry, _ error) error {
		if e != nil && e.IsDir() {
			_ = os.Chmod(p, 0o700) //nolint:gosec // our own folders; RemoveAll below reports what is left
		}
		return nil
	})
	return os.RemoveAll(dir)
}
