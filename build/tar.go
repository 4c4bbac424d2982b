package build

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/tonistiigi/fsutil"

	"rhumb"
)

const maxIgnore = 1 << 20 // bytes of a .dockerignore

// errStop ends a walk; packer.err has the cause. Returned from the walk, the cause could get lost: fsutil treats a
// file that vanished as the end of its folder.
var errStop = errors.New("stop")

// Tar writes the build context in dir to w, in the form that Builder.Build reads. It leaves out what .dockerignore
// (or DOCKERFILE.dockerignore) names, and sockets and devices. The order is fixed, modes and symbolic links are kept,
// and root owns everything. dockerfile is relative to dir, and "" means Dockerfile, if there is one; a Dockerfile
// outside dir is added.
//
// A file that can't be read is Invalid, with its name. An error of w is returned wrapped.
func Tar(w io.Writer, dir string, dockerfile string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return rhumb.Errorf(rhumb.Invalid, "the build context %s can't be read: %w", dir, err)
	}
	if !info.IsDir() {
		return rhumb.Errorf(rhumb.Invalid, "the build context %s is not a folder", dir)
	}
	patterns, ignore, err := ignored(dir, dockerfile)
	if err != nil {
		return err
	}
	p := packer{dir: dir, tar: tar.NewWriter(w)}
	if err := p.all(patterns); err != nil {
		return err
	}
	if dockerfile != "" && !filepath.IsLocal(dockerfile) {
		if err := p.outside(resolve(dir, dockerfile), ignore); err != nil {
			return err
		}
	}
	if err := p.tar.Close(); err != nil {
		return fmt.Errorf("send the build context %s: %w", dir, err)
	}
	return nil
}

// ignored returns the patterns of files to leave out, and the file that they come from, or "".
func ignored(dir, dockerfile string) (patterns []string, ignore string, err error) {
	if dockerfile != "" {
		if info, err := os.Stat(resolve(dir, dockerfile)); err != nil {
			return nil, "", rhumb.Errorf(rhumb.Invalid, "the Dockerfile %s can't be read: %w", resolve(dir, dockerfile), err)
		} else if !info.Mode().IsRegular() {
			return nil, "", rhumb.Errorf(rhumb.Invalid, "the Dockerfile %s is not a file", resolve(dir, dockerfile))
		}
	} else {
		dockerfile = "Dockerfile"
	}
	for _, name := range []string{resolve(dir, dockerfile) + ".dockerignore", filepath.Join(dir, ".dockerignore")} {
		f, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, "", rhumb.Errorf(rhumb.Invalid, "%s can't be read: %w", name, err)
		}
		defer f.Close()
		if patterns, err = ignorefile.ReadAll(io.LimitReader(f, maxIgnore)); err != nil {
			return nil, "", rhumb.Errorf(rhumb.Invalid, "%s can't be read: %w", name, err)
		}
		if _, err := patternmatcher.New(patterns); err != nil {
			return nil, "", rhumb.Errorf(rhumb.Invalid, "%s: invalid pattern: %w", name, err)
		}
		ignore = name
		break
	}
	if len(patterns) == 0 {
		return nil, ignore, nil
	}
	// The build needs these files even if the patterns exclude them.
	patterns = append(patterns, "!.dockerignore")
	if filepath.IsLocal(dockerfile) {
		patterns = append(patterns, "!"+filepath.ToSlash(filepath.Clean(dockerfile)),
			"!"+filepath.ToSlash(filepath.Clean(dockerfile))+".dockerignore")
	}
	return patterns, ignore, nil
}

func resolve(dir, name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

type packer struct {
	dir string
	tar *tar.Writer
	err error // why the walk stopped
}

func (p *packer) all(patterns []string) error {
	files, err := fsutil.NewFS(p.dir)
	if err == nil {
		files, err = fsutil.NewFilterFS(files, &fsutil.FilterOpt{ExcludePatterns: patterns})
	}
	if err == nil {
		err = files.Walk(context.Background(), "", func(name string, _ fs.DirEntry, err error) error {
			if err == nil {
				err = p.add(filepath.Join(p.dir, name), filepath.ToSlash(name))
			}
			if err != nil {
				p.err = err
				return errStop
			}
			return nil
		})
	}
	if p.err != nil {
		err = p.err
	}
	if err != nil && rhumb.ErrorCode(err) == rhumb.Internal && !errors.Is(err, errWrite) {
		return rhumb.Errorf(rhumb.Invalid, "the build context %s can't be read: %w", p.dir, err)
	}
	return err
}

// errWrite marks an error of the receiving end, as opposed to one of the files.
var errWrite = errors.New("send the build context")

func (p *packer) add(file, name string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	link := ""
	switch mode := info.Mode(); {
	case mode.IsDir(), mode.IsRegular():
	case mode.Type() == fs.ModeSymlink:
		if link, err = os.Readlink(file); err != nil {
			return err
		}
	default:
		return nil // a socket, pipe or device can't be copied into an image
	}
	h, err := tar.FileInfoHeader(info, filepath.ToSlash(link))
	if err != nil {
		return err
	}
	h.Name = name
	if info.IsDir() {
		h.Name += "/"
	}
	return p.write(file, info, h)
}

// write adds a file without its owner and access time, so that the same files produce the same stream.
func (p *packer) write(file string, info fs.FileInfo, h *tar.Header) error {
	h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
	h.AccessTime, h.ChangeTime = time.Time{}, time.Time{}
	h.Format = tar.FormatPAX // has nanoseconds: an edit within the same second changes the stream
	if !info.Mode().IsRegular() {
		if err := p.tar.WriteHeader(h); err != nil {
			return fmt.Errorf("%w: %w", errWrite, err)
		}
		return nil
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := p.tar.WriteHeader(h); err != nil {
		return fmt.Errorf("%w: %w", errWrite, err)
	}
	return p.content(f, h.Size)
}

func (p *packer) content(f *os.File, size int64) error {
	source := &sourceErrors{Reader: io.LimitReader(f, size)}
	n, err := io.Copy(p.tar, source)
	switch {
	case source.err != nil:
		return source.err
	case err != nil:
		return fmt.Errorf("%w: %w", errWrite, err)
	case n != size:
		return rhumb.Errorf(rhumb.Invalid, "%s changed while it was being read", f.Name()).
			WithHint("wait until it is complete, or add it to .dockerignore")
	}
	return nil
}

// sourceErrors remembers whether reading failed, as opposed to writing.
type sourceErrors struct {
	io.Reader
	err error
}

func (s *sourceErrors) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}

// outside adds a Dockerfile that isn't in the context, and its ignore file.
func (p *packer) outside(dockerfile, ignore string) error {
	files := map[string]string{outsideDockerfile: dockerfile}
	if ignore == dockerfile+".dockerignore" {
		files[outsideIgnore] = ignore
	}
	for _, name := range []string{outsideDockerfile, outsideIgnore} {
		file, wanted := files[name]
		if !wanted {
			continue
		}
		info, err := os.Stat(file)
		if err != nil {
			return rhumb.Errorf(rhumb.Invalid, "%s can't be read: %w", file, err)
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: info.Size(), Mode: 0o644, ModTime: info.ModTime()}
		if err := p.write(file, info, h); err != nil {
			return err
		}
	}
	return nil
}
