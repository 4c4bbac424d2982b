package build

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"rhumb"
)

const (
	shortCommit  = 7  // characters, as git itself shortens
	shortContent = 12 // characters
)

// Name returns the name of a service's image: STACK-SERVICE:COMMIT, with "-dirty" if there are uncommitted changes.
// Outside a git repository the tag is that of Content.
func Name(stack, service string, git rhumb.Git, content string) string {
	tag := git.Commit
	if tag == "" {
		return stack + "-" + service + ":" + content
	}
	if len(tag) > shortCommit {
		tag = tag[:shortCommit]
	}
	if git.Dirty {
		tag += "-dirty"
	}
	return stack + "-" + service + ":" + tag
}

// RemoteName returns the name of an image whose context the engine fetches: STACK-SERVICE:remote-HASH. The hash is
// that of the context's URL, so the name doesn't change with the project's own files.
func RemoteName(stack, service, context string) string {
	sum := sha256.Sum256([]byte(context))
	return stack + "-" + service + ":remote-" + hex.EncodeToString(sum[:6])
}

// Content returns a tag for what an image is built from: the context that Tar writes, and the build's options. Times
// and the context's path don't matter.
func Content(dir, dockerfile string, b rhumb.Build) (string, error) {
	h := sha256.New()
	b.Context = ""
	if err := json.NewEncoder(h).Encode(b); err != nil {
		return "", err
	}
	context, w := io.Pipe()
	var sending sync.WaitGroup
	defer sending.Wait()
	defer context.Close() // ends Tar, if it still writes
	sending.Go(func() { w.CloseWithError(Tar(w, dir, dockerfile)) })
	for files := tar.NewReader(context); ; {
		f, err := files.Next()
		if errors.Is(err, io.EOF) {
			return hex.EncodeToString(h.Sum(nil))[:shortContent], nil
		}
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%q %q %o %d %d\n", f.Name, f.Linkname, f.Mode, f.Typeflag, f.Size)
		if _, err := io.Copy(h, files); err != nil {
			return "", err
		}
	}
}
