// Package build turns Dockerfiles into images. On the client, Tar packs the build context. On the server, a Builder
// builds it with the engine's own BuildKit.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	bkclient "github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/tonistiigi/fsutil"
	fstypes "github.com/tonistiigi/fsutil/types"

	"rhumb"
)

const (
	maxDockerfile = 4 << 20         // bytes
	temporary     = "rhumb-build-*" // the names of folders with contexts
	// maxTries is how often an image is built that is gone right after its build: Docker Engine removes an equal image's
	// last name and the image with it while another name is given to it.
	maxTries = 3
)

// Dialer opens connections to the engine. Docker's client implements it.
type Dialer interface {
	// DialHijack opens a stream to one of the engine's own services.
	DialHijack(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error)
	// Dialer returns what opens a plain connection.
	Dialer() func(context.Context) (net.Conn, error)
}

// Builder builds images; it implements rhumb.Builder. Several builds may run at once.
type Builder struct {
	// Inspect returns a built image with its size, ports, volumes and health check. If it is nil, an image has only
	// its name and ID.
	Inspect func(ctx context.Context, ref string) (rhumb.Image, error)
	// API returns the version of Docker's API that the engine speaks. If it is nil, the version is 1.41.
	API func(ctx context.Context) (string, error)
	// Dir is the folder in which contexts are unpacked; "" is the system's folder for temporary files.
	Dir string

	dialer Dialer
	log    *slog.Logger
	limits limits
}

var _ rhumb.Builder = (*Builder)(nil)

// New returns a builder that uses the engine behind dialer.
func New(dialer Dialer, log *slog.Logger) *Builder {
	return &Builder{dialer: dialer, log: log, limits: defaultLimits}
}

// Build builds an image from a context that Tar wrote, of at most 2 GB and 200,000 files. The context is unpacked
// into a temporary folder, which Build removes before it returns. If the engine fetches the context itself, Build
// doesn't read it. Calls of progress, which may be nil, never overlap.
//
// A mistake in the Dockerfile or the context is Invalid, a registry that refuses the credentials is Denied, and an
// engine or a registry that can't be reached is Unavailable.
func (b *Builder) Build(ctx context.Context, r rhumb.BuildRequest, context io.Reader,
	progress func(rhumb.BuildProgress)) (rhumb.Image, error) {
	o, err := options(r)
	if err != nil {
		return rhumb.Image{}, err
	}
	engine, err := b.engine(ctx)
	if err != nil {
		return rhumb.Image{}, err
	}
	if unmet := engine.UnmetByBuild(r.Service, &r.Build); len(unmet) > 0 {
		return rhumb.Image{}, unmet
	}
	if url, ok := strings.CutSuffix(o.FrontendAttrs["context"], "#HEAD"); ok && engine.Speaks("1.42") {
		o.FrontendAttrs["context"] = url // newer engines find the default branch, and know no branch HEAD
	}
	if !r.Build.Remote() {
		done, err := b.unpack(ctx, r, context, &o)
		defer done()
		if err != nil {
			return rhumb.Image{}, err
		}
	}
	for tries := 1; ; tries++ {
		id, err := b.solve(ctx, engine, r, o, progress)
		if err != nil {
			return rhumb.Image{}, err
		}
		b.log.Info("image built", "stack", r.Stack, "service", r.Service, "image", r.Name, "id", id)
		img, err := b.image(ctx, r.Name, id)
		if rhumb.ErrorCode(err) != rhumb.NotFound || tries == maxTries {
			return img, err
		}
		b.log.Warn("built image is gone, building it again", "image", r.Name, "id", id)
	}
}

// unpack unpacks a context into a temporary folder and adds it to the build. The caller calls done to remove the
// folder.
func (b *Builder) unpack(ctx context.Context, r rhumb.BuildRequest, context io.Reader,
	o *solveOptions) (done func(), err error) {
	dir, err := os.MkdirTemp(b.Dir, temporary)
	if err != nil {
		return func() {}, rhumb.Errorf(rhumb.Unavailable, "build of service %s: %w", r.Service, err)
	}
	done = func() {
		if err := discard(dir); err != nil {
			b.log.Warn("build context not removed", "path", dir, "err", err)
		}
	}
	tree, err := unpack(ctx, context, dir, b.limits)
	if err != nil {
		return done, failure{request: r}.explain(ctx, err)
	}
	return done, o.mount(tree, r)
}

// Sweep removes the contexts that builds left in Dir when the daemon died. Don't call it while a build runs.
func (b *Builder) Sweep() error {
	if b.Dir == "" {
		return nil // the system's folder may contain the contexts of other builders
	}
	left, err := filepath.Glob(filepath.Join(b.Dir, temporary))
	for _, dir := range left {
		err = errors.Join(err, discard(dir))
	}
	return err
}

func (b *Builder) image(ctx context.Context, name, id string) (rhumb.Image, error) {
	img := rhumb.Image{Ref: name, ID: id}
	if b.Inspect != nil {
		var err error
		if img, err = b.Inspect(ctx, name); err != nil {
			return rhumb.Image{}, err
		}
		img.Ref = name
	}
	img.Pulled = true
	return img, nil
}

// engine returns what is known of the engine.
func (b *Builder) engine(ctx context.Context) (rhumb.EngineInfo, error) {
	if b.API == nil {
		return rhumb.EngineInfo{APIVersion: "1.41"}, nil
	}
	version, err := b.API(ctx)
	return rhumb.EngineInfo{APIVersion: version}, err
}

// solve runs the build and returns the image's ID.
func (b *Builder) solve(ctx context.Context, engine rhumb.EngineInfo, r rhumb.BuildRequest, o solveOptions,
	progress func(rhumb.BuildProgress)) (string, error) {
	d := &watchedDialer{Dialer: b.dialer}
	reach := []bkclient.ClientOpt{bkclient.WithContextDialer(d.grpc), bkclient.WithSessionDialer(d.session)}
	if engine.Speaks("1.53") { // these engines answer plain HTTP/2 on their socket and deprecate /grpc and /session
		reach = []bkclient.ClientOpt{bkclient.WithContextDialer(d.plain)}
	}
	bk, err := bkclient.New(ctx, "", reach...)
	if err != nil {
		return "", rhumb.Errorf(rhumb.Unavailable, "build of service %s: the engine's builder can't be reached: %w",
			r.Service, err)
	}
	defer bk.Close()
	o.Session = []session.Attachable{newRegistryAuth(r.Auth), secretsprovider.FromMap(r.Secrets)}

	status := make(chan *bkclient.SolveStatus)
	output := newReporter(r.Service, progress)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range status { // Solve always closes it
			output.status(s)
		}
	}()
	res, err := bk.Solve(ctx, nil, o.SolveOpt, status)
	<-done
	if err != nil {
		return "", failure{request: r, dockerfile: o.dockerfile, output: output, dial: d.failed()}.explain(ctx, err)
	}
	// With Docker's classic image store both are the image's ID; with containerd's store only the first is.
	for _, key := range []string{"containerimage.digest", "containerimage.config.digest"} {
		if id := res.ExporterResponse[key]; id != "" {
			return id, nil
		}
	}
	return "", rhumb.Errorf(rhumb.Internal, "build of service %s: the engine did not return the ID of the image",
		r.Service)
}

// watchedDialer remembers why the engine could not be reached: BuildKit's client drops the cause.
type watchedDialer struct {
	Dialer
	mu  sync.Mutex
	err error
}

func (d *watchedDialer) plain(ctx context.Context, _ string) (net.Conn, error) {
	return d.watched(d.Dialer.Dialer()(ctx))
}

func (d *watchedDialer) grpc(ctx context.Context, _ string) (net.Conn, error) {
	return d.watched(d.DialHijack(ctx, "/grpc", "h2c", nil))
}

func (d *watchedDialer) session(ctx context.Context, proto string, meta map[string][]string) (net.Conn, error) {
	return d.watched(d.DialHijack(ctx, "/session", proto, meta))
}

func (d *watchedDialer) watched(conn net.Conn, err error) (net.Conn, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
	return conn, err
}

func (d *watchedDialer) failed() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err
}

// mount adds the unpacked folders to the build and reads the Dockerfile.
func (o *solveOptions) mount(tree unpacked, r rhumb.BuildRequest) error {
	dockerfile, folder := o.FrontendAttrs["filename"], tree.context
	if r.Build.Inline != "" || !filepath.IsLocal(r.Build.Dockerfile) && r.Build.Dockerfile != "" {
		folder = tree.beside
	}
	if r.Build.Inline != "" {
		if err := os.WriteFile(filepath.Join(folder, "Dockerfile"), []byte(r.Build.Inline), 0o600); err != nil {
			return rhumb.Errorf(rhumb.Unavailable, "build of service %s: %w", r.Service, err)
		}
	}
	var err error
	if o.dockerfile, err = readDockerfile(folder, dockerfile); err != nil {
		return rhumb.Errorf(rhumb.Invalid, "service %s: the build context %s has no Dockerfile %s: %w", r.Service,
			r.Build.Context, dockerfile, err).
			WithHint("set build.dockerfile, relative to the context, if it has another name")
	}
	o.SharedKey = tree.digest // the engine reuses a context that it has only if the digest is the same
	o.LocalMounts = map[string]fsutil.FS{}
	for name, dir := range map[string]string{"context": tree.context, "dockerfile": folder} {
		files, err := rootFS(dir)
		if err != nil {
			return rhumb.Errorf(rhumb.Unavailable, "build of service %s: %w", r.Service, err)
		}
		o.LocalMounts[name] = files
	}
	return nil
}

// readDockerfile reads a Dockerfile. It refuses a file that is missing, too big, or a link out of the context.
func readDockerfile(dir, name string) ([]byte, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	info, err := root.Stat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxDockerfile {
		return nil, fmt.Errorf("it is not a regular file, or is larger than %d MB", maxDockerfile>>20)
	}
	return root.ReadFile(filepath.FromSlash(name))
}

// rootFS returns a view of a folder in which root owns every file. It opens nothing outside the folder.
func rootFS(dir string) (fsutil.FS, error) {
	files, err := fsutil.NewFS(dir)
	if err != nil {
		return nil, err
	}
	return fsutil.NewFilterFS(confined{files, dir},
		&fsutil.FilterOpt{Map: func(_ string, s *fstypes.Stat) fsutil.MapResult {
			s.Uid, s.Gid = 0, 0
			return fsutil.MapResultKeep
		}})
}

// confined opens only files beneath dir, even through symbolic links.
type confined struct {
	fsutil.FS
	dir string
}

// Open opens a file for reading.
func (c confined) Open(name string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(c.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(filepath.FromSlash(name))
}
