package control

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rhumb"
	"rhumb/control/routing"
)

const (
	readyTimeout = 60 * time.Second // until a replica must be ready, where nothing else is said
	readyWindow  = 5 * time.Second  // how long a replica without any check must run to count as ready
	maxPulls     = 3                // images looked up or pulled at a time
)

// resolved is a model with nothing left to decide, and what it was made of.
type resolved struct {
	model  rhumb.Stack
	images map[string]rhumb.Image // by service
}

// resolve finds the images, and fills in all that depends on them or on the server: IDs, readiness, order, chosen
// ports, external values, what services take over from one another. With look, images are looked up and not pulled.
func (c *Control) resolve(ctx context.Context, r rhumb.DeployRequest, look bool, progress func(rhumb.Event)) (resolved, error) {
	model := copyModel(r.Model)
	if err := c.checkExternal(ctx, &model); err != nil {
		return resolved{}, err
	}
	inheritImages(&model)
	images, err := c.resolveImages(ctx, &model, r, look, progress)
	if err != nil {
		return resolved{}, err
	}
	if err := c.fillValues(ctx, &model); err != nil {
		return resolved{}, err
	}
	for i := range model.Services {
		s := &model.Services[i]
		applyImage(s, images[s.Name])
		for j := range s.PreStart {
			h := &s.PreStart[j]
			h.Container.ImageID = images[rhumb.HookService(s.Name, h.Number)].ID
		}
		applyStrategy(s, r.Strategy)
		if err := routePorts(s, images[s.Name]); err != nil {
			return resolved{}, err
		}
		chooseReady(s)
		if err := c.choosePorts(ctx, model.Name, s); err != nil {
			return resolved{}, err
		}
	}
	if err := c.inherit(ctx, &model, images); err != nil {
		return resolved{}, err
	}
	return resolved{model, images}, linkServices(&model)
}

// inherit takes over from the current release what the user's files can't say: that a service was restarted by hand
// (it stays as it is if nothing else changed), and that an image found here was once pulled by rhumb.
func (c *Control) inherit(ctx context.Context, model *rhumb.Stack, images map[string]rhumb.Image) error {
	state, err := c.Store.StackState(ctx, model.Name)
	if err != nil || state.Current == 0 {
		return err
	}
	cur, err := c.release(ctx, model.Name, state.Current)
	if err != nil {
		return err
	}
	for i := range model.Services {
		s := &model.Services[i]
		if old := cur.Model.Service(s.Name); old != nil {
			was, is := old.Container, s.Container
			was.RestartOn, is.RestartOn = nil, nil
			is.RestartedAt = was.RestartedAt
			if was.Hash() == is.Hash() {
				s.Container.RestartedAt = was.RestartedAt
			}
		}
		img := images[s.Name]
		for _, old := range cur.Images {
			img.Pulled = img.Pulled || old.Pulled && old.ID == img.ID
		}
		images[s.Name] = img
	}
	return nil
}

func (c *Control) resolveImages(ctx context.Context, model *rhumb.Stack, r rhumb.DeployRequest, look bool, progress func(rhumb.Event)) (map[string]rhumb.Image, error) {
	if progress == nil {
		progress = func(rhumb.Event) {}
	}
	images := map[string]rhumb.Image{}
	var mu sync.Mutex
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(maxPulls)
	for _, s := range allImaged(model) {
		g.Go(func() error {
			req := rhumb.ImageRequest{Ref: s.container.Image, Platform: s.container.Platform, Policy: s.pull, Auth: r.Auth}
			if look || s.built {
				req.Policy = rhumb.PullNever
			}
			img, err := c.Images.Resolve(ctx, req, func(p rhumb.ImageProgress) {
				mu.Lock()
				defer mu.Unlock()
				progress(rhumb.Event{Kind: rhumb.EventPull, At: time.Now(), Stack: model.Name, Service: s.name, Text: p.Ref, Done: p.Done, Total: p.Total})
			})
			if look && rhumb.ErrorCode(err) == rhumb.NotFound {
				img, err = rhumb.Image{Ref: s.container.Image, ID: "not here yet: " + s.container.Image}, nil
			}
			if err != nil {
				return fmt.Errorf("service %s: %w", s.name, err)
			}
			img.Pulled = img.Pulled || s.built // built is ours too
			mu.Lock()
			defer mu.Unlock()
			images[s.name] = img
			return nil
		})
	}
	return images, g.Wait()
}

// applyImage fills in what the image says: its ID, its health check, and that its volumes want stop-first.
func applyImage(s *rhumb.Service, img rhumb.Image) {
	c := &s.Container
	c.ImageID = img.ID
	if img.Health != nil {
		if c.Health == nil {
			c.Health = img.Health
		} else if len(c.Health.Test) == 0 {
			c.Health.Test = img.Health.Test
		}
	}
	if s.Order == rhumb.StopFirst || s.OrderWhy != "" {
		return // said by the user, or decided by the model already
	}
	for _, v := range img.Volumes {
		if !slices.ContainsFunc(c.Mounts, func(m rhumb.Mount) bool { return m.Target == v }) && !s.Job {
			s.Order, s.OrderWhy = rhumb.StopFirst, "its image declares the volume "+v
			return
		}
	}
}

func applyStrategy(s *rhumb.Service, st rhumb.Strategy) {
	switch st {
	case rhumb.StrategyRecreate:
		s.Order, s.OrderWhy, s.Update.Parallelism = rhumb.StopFirst, "strategy recreate", 0
	case rhumb.StrategyRolling, "":
	}
}

// chooseReady decides how the service's replicas show that they are ready, unless the user said it.
func chooseReady(s *rhumb.Service) {
	switch {
	case s.Job:
		s.Ready.Kind = rhumb.ReadyExit
	case s.Ready.Kind != "":
	case checked(s.Container.Health):
		s.Ready.Kind = rhumb.ReadyHealth
	default:
		s.Ready.Kind = rhumb.ReadyRunning
		for _, t := range routing.Targets(s) {
			if t.Protocol != rhumb.UDP {
				s.Ready.Kind, s.Ready.Port = rhumb.ReadyTCP, t.Port
				break
			}
		}
	}
	if s.Ready.Timeout == 0 {
		s.Ready.Timeout = readyLimit(s)
	}
}

// routePorts gives routes without a port the first one that the service or its image names.
func routePorts(s *rhumb.Service, img rhumb.Image) error {
	for i := range s.Routes {
		r := &s.Routes[i]
		if r.Port != 0 {
			continue
		}
		if len(s.Ports) > 0 {
			r.Port = s.Ports[0].Target
			continue
		}
		for _, e := range slices.Concat(s.Container.Expose, img.Ports) {
			port, proto, _ := strings.Cut(e, "/")
			if n, err := strconv.ParseUint(port, 10, 16); err == nil && proto != "udp" {
				r.Port = uint16(n)
				break
			}
		}
		if r.Port == 0 {
			return rhumb.Errorf(rhumb.Invalid, "service %s: route %s names no port, and neither the service nor its image exposes one", s.Name, r.Address()).
				WithHint("write the port: {host: ..., path: ..., port: 8000}")
		}
	}
	return nil
}

func checked(h *rhumb.Healthcheck) bool {
	return h != nil && len(h.Test) > 0 && h.Test[0] != "NONE"
}

// readyLimit is the time by which a replica must be ready: what its health check allows, and a minute at least.
func readyLimit(s *rhumb.Service) time.Duration {
	switch s.Ready.Kind {
	case rhumb.ReadyExit:
		return 0
	case rhumb.ReadyRunning:
		return max(readyWindow, s.Update.Monitor)
	case rhumb.ReadyHealth:
		h := withDefaults(*s.Container.Health)
		return max(readyTimeout, h.StartPeriod+time.Duration(h.Retries)*(h.Interval+h.Timeout))
	default:
		return readyTimeout
	}
}

// withDefaults fills in the defaults of the Docker Engine.
func withDefaults(h rhumb.Healthcheck) rhumb.Healthcheck {
	if h.Interval == 0 {
		h.Interval = 30 * time.Second
	}
	if h.Timeout == 0 {
		h.Timeout = 30 * time.Second
	}
	if h.Retries == 0 {
		h.Retries = 3
	}
	return h
}

// fillValues puts the server's values into external secrets and configs.
func (c *Control) fillValues(ctx context.Context, model *rhumb.Stack) error {
	for i := range model.Files {
		f := &model.Files[i]
		if f.External == "" {
			continue
		}
		v, err := c.Store.Value(ctx, f.External)
		if rhumb.ErrorCode(err) == rhumb.NotFound {
			return rhumb.Errorf(rhumb.Invalid, "%s %s: the server has no value named %q", f.Kind, f.Name, f.External).
				WithHint("rhumb secret create %s FILE", f.External)
		}
		if err != nil {
			return err
		}
		sum := sha256.Sum256(v)
		f.Content, f.Hash = v, hex.EncodeToString(sum[:])
	}
	for _, x := range allImaged(model) {
		for j := range x.container.Mounts {
			m := &x.container.Mounts[j]
			if m.Type != rhumb.MountFile {
				continue
			}
			f := model.File(m.Kind, m.Source)
			if f == nil {
				return rhumb.Errorf(rhumb.Invalid, "service %s: there is no %s %q", x.name, m.Kind, m.Source)
			}
			m.Hash = f.Hash
		}
	}
	return nil
}

// choosePorts gives a host port to every port that names none, and keeps it for later releases.
func (c *Control) choosePorts(ctx context.Context, stack string, s *rhumb.Service) error {
	for i := range s.Ports {
		p := &s.Ports[i]
		if p.Published != 0 && p.PublishedEnd == 0 {
			continue
		}
		key := fmt.Sprintf("port/%s/%s/%s/%d/%s/%d-%d", stack, s.Name, p.HostIP, p.Target, p.Protocol, p.Published, p.PublishedEnd)
		kept, err := c.Store.Setting(ctx, key)
		if err != nil {
			return err
		}
		if n, err := strconv.ParseUint(kept, 10, 16); err == nil && n > 0 {
			p.Published, p.PublishedEnd = uint16(n), 0
			continue
		}
		n, err := c.desk.FreePort(ctx, *p)
		if err != nil {
			return fmt.Errorf("service %s: %w", s.Name, err)
		}
		p.Published, p.PublishedEnd = n, 0
		if err := c.Store.SetSetting(ctx, key, itoa(n)); err != nil {
			return err
		}
	}
	return nil
}

// linkServices makes services new when those they hang on are: depends_on with restart, shared namespaces.
func linkServices(model *rhumb.Stack) error {
	done := map[string]bool{}
	var visit func(name string, path []string) error
	visit = func(name string, path []string) error {
		if slices.Contains(path, name) {
			return rhumb.Errorf(rhumb.Invalid, "services depend on one another: %s", strings.Join(append(path, name), " -> "))
		}
		s := model.Service(name)
		if s == nil || done[name] {
			return nil
		}
		for _, d := range s.DependsOn {
			if err := visit(d.Service, append(path, name)); err != nil {
				return err
			}
			if other := model.Service(d.Service); other != nil && (d.Restart || slices.Contains(joins(s), d.Service)) {
				if s.Container.RestartOn == nil {
					s.Container.RestartOn = map[string]string{}
				}
				s.Container.RestartOn[d.Service] = other.Container.Hash()
			}
		}
		linkPreStart(s)
		done[name] = true
		return nil
	}
	for _, s := range model.Services {
		if err := visit(s.Name, nil); err != nil {
			return err
		}
	}
	linkHooks(model)
	return nil
}

// joins lists the services whose namespaces or volumes a service shares.
func joins(s *rhumb.Service) []string {
	var names []string
	for _, mode := range []string{s.Container.NetworkMode, s.Container.PID, s.Container.IPC} {
		if name, ok := strings.CutPrefix(mode, "service:"); ok {
			names = append(names, name)
		}
	}
	for _, v := range s.Container.VolumesFrom {
		if name, _, _ := strings.Cut(v, ":"); !strings.HasPrefix(v, "container:") {
			names = append(names, name)
		}
	}
	return names
}

// copyModel copies what resolve writes to.
func copyModel(m rhumb.Stack) rhumb.Stack {
	m.Files = slices.Clone(m.Files)
	m.Services = slices.Clone(m.Services)
	for i := range m.Services {
		s := &m.Services[i]
		s.Ports = slices.Clone(s.Ports)
		s.Routes = slices.Clone(s.Routes)
		s.Container.Mounts = slices.Clone(s.Container.Mounts)
		s.Container.RestartOn = nil
		if s.Container.Health != nil {
			h := *s.Container.Health
			s.Container.Health = &h
		}
	}
	return m
}

func itoa(n uint16) string { return strconv.Itoa(int(n)) }
