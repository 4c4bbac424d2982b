// Package build turns Dockerfiles into images. Tar is the client's half: it sends the context. Builder is the server's: it builds through
// the BuildKit that is in the engine.
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
)

// Dialer opens connections to the engine. Docker's client is one.
type Dialer interface {
	// DialHijack opens a stream to one of the engine's own services.
	DialHijack(ctx context.Context, path, proto string, meta map[string][]string) (net.Conn, error)
	// Dialer returns what opens a plain connection.
	Dialer() func(context.Context) (net.Conn, error)
}

// Builder builds images: rhumb.Builder. Builds may go on side by side.
type Builder struct {
	// Inspect, unless it is nil, tells the rest of a built image: its size, ports, volumes and health check.
	Inspect func(ctx context.Context, ref string) (rhumb.Image, error)
	// API, unless it is nil, returns the version of Docker's API that the engine speaks; nil stands for 1.41.
	API func(ctx context.Context) (string, error)
	// Dir is where contexts are unpacked; "" is the system's folder for temporary files.
	Dir string

	dialer Dialer
	log    *slog.Logger
	limits limits
}

var _ rhumb.Builder = (*Builder)(nil)

// New makes a builder on the engine that dialer reaches.
func New(dialer Dialer, log *slog.Logger) *Builder {
	return &Builder{dialer: dialer, log: log, limits: defaultLimits}
}

// Build builds an image from a context as Tar writes it: at most 2 GB and 200,000 files. It is unpacked into a temporary folder, which is
// gone when Build returns. A context that the engine fetches itself isn't read. progress, unless nil, is called from one goroutine at a time.
func (b *Builder) Build(ctx context.Context, r rhumb.BuildRequest, context io.Reader, progress func(rhumb.BuildProgress)) (rhumb.Image, error) {
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
	id, err := b.solve(ctx, engine, r, o, progress)
	if err != nil {
		return rhumb.Image{}, err
	}
	b.log.Info("image built", "stack", r.Stack, "service", r.Service, "image", r.Name, "id", id)
	return b.image(ctx, r.Name, id)
}

// unpack unpacks a context into a temporary folder, which is there until done is called, and hands it to the build.
func (b *Builder) unpack(ctx context.Context, r rhumb.BuildRequest, context io.Reader, o *solveOptions) (done func(), err error) {
	dir, err := os.MkdirTemp(b.Dir, temporary)
	if err != nil {
		return func() {}, rhumb.Errorf(rhumb.Unavailable, "build of service %s: %w", r.Service, err)
	}
	done = func() {
		if err := discard(dir); err != nil {
			b.log.Warn("build context not removed", "path", dir, "error", err)
		}
	}
	tree, err := unpack(ctx, context, dir, b.limits)
	if err != nil {
		return done, failure{request: r}.explain(ctx, err)
	}
	return done, o.mount(tree, r)
}

// Sweep removes what builds left in Dir when the daemon died. It must not be called while builds go on.
func (b *Builder) Sweep() error {
	if b.Dir == "" {
		return nil // others may be building there
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
func (b *Builder) solve(ctx context.Context, engine rhumb.EngineInfo, r rhumb.BuildRequest, o solveOptions, progress func(rhumb.BuildProgress)) (string, error) {
	d := &watchedDialer{Dialer: b.dialer}
	reach := []bkclient.ClientOpt{bkclient.WithContextDialer(d.grpc), bkclient.WithSessionDialer(d.session)}
	if engine.Speaks("1.53") { // these engines answer plain HTTP/2 on their socket; /grpc and /session are deprecated there
		reach = []bkclient.ClientOpt{bkclient.WithContextDialer(d.plain)}
	}
	bk, err := bkclient.New(ctx, "", reach...)
	if err != nil {
		return "", rhumb.Errorf(rhumb.Unavailable, "build of service %s: the engine's builder can't be reached: %w", r.Service, err)
	}
	defer bk.Close()
	o.Session = []session.Attachable{newRegistryAuth(r.Auth), secretsprovider.FromMap(r.Secrets)}

	status := make(chan *bkclient.SolveStatus)
	told := newTeller(r.Service, progress)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for s := range status { // Solve closes it, whatever happens
			told.tell(s)
		}
	}()
	res, err := bk.Solve(ctx, nil, o.SolveOpt, status)
	<-done
	if err != nil {
		return "", failure{request: r, dockerfile: o.dockerfile, told: told, dial: d.failed()}.explain(ctx, err)
	}
	// With Docker's classic image store both are the image's ID, with containerd's only the former.
	for _, key := range []string{"containerimage.digest", "containerimage.config.digest"} {
		if id := res.ExporterResponse[key]; id != "" {
			return id, nil
		}
	}
	return "", rhumb.Errorf(rhumb.Internal, "build of service %s: the engine did not name the image that it built", r.Service)
}

// watchedDialer remembers that the engine could not be reached, which gets lost on the way through the client.
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

// mount hands the unpacked folders to the build and finds the Dockerfile in them.
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
		return rhumb.Errorf(rhumb.Invalid, "service %s: the build context %s has no Dockerfile %s: %w", r.Service, r.Build.Context, dockerfile, err).
			WithHint("build.dockerfile names another one, relative to the context")
	}
	o.SharedKey = tree.digest // the engine takes only the very same files for those it already has
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

// readDockerfile refuses one that is missing, huge or a link that leads out of the context.
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
		return nil, fmt.Errorf("it is not a file, or bigger than %d MB", maxDockerfile>>20)
	}
	return root.ReadFile(filepath.FromSlash(name))
}

// rootFS shows a folder as owned by root, whoever runs the daemon, and opens nothing outside of it.
func rootFS(dir string) (fsutil.FS, error) {
	files, err := fsutil.NewFS(dir)
	if err != nil {
		return nil, err
	}
	return fsutil.NewFilterFS(confined{files, dir}, &fsutil.FilterOpt{Map: func(_ string, s *fstypes.Stat) fsutil.MapResult {
		s.Uid, s.Gid = 0, 0
		return fsutil.MapResultKeep
	}})
}

// confined opens files beneath dir only, also where a symbolic link says otherwise.
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
