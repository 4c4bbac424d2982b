package docker

import (
	"context"
	"strings"
	"sync"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/drawing"
	"rhumb/engine/docker/internal/hostsfile"
	"rhumb/engine/docker/internal/images"
	"rhumb/engine/docker/internal/observed"
	"rhumb/internal/failpoint"
)

// creator creates the containers of replicas.
type creator struct {
	*conn.Conn
	files    *files
	volumes  *volumes
	declared sync.Map // the volumes that images declare: image ID -> []string
}

// create creates the container of a replica. If it fails before the engine is asked, the plan is nil. amend, unless it
// is nil, changes the plan before that.
func (c *creator) create(ctx context.Context, spec *rhumb.ReplicaSpec,
	amend func(*drawing.Plan)) (p *drawing.Plan, made client.ContainerCreateResult, err error) {
	f, err := c.facts(ctx, spec)
	if err != nil {
		return nil, made, err
	}
	// Until the container exists, nothing shows that these files are in use: a sweep would remove them.
	c.files.store.Sweeping.RLock()
	defer c.files.store.Sweeping.RUnlock()
	if f.Files, err = c.files.place(ctx, spec); err != nil {
		return nil, made, err
	}
	if p, err = drawing.Draw(spec, f); err != nil {
		return nil, made, err
	}
	if err := makeFolders(spec); err != nil {
		return nil, made, err
	}
	if err := c.volumes.checkMounted(ctx, spec); err != nil {
		return nil, made, err
	}
	if amend != nil {
		amend(p)
	}
	failpoint.Here("before it is made", spec.Service)
	if made, err = createContainer(ctx, c.API, p.Create); err != nil {
		return p, made, c.failure(ctx, err, spec)
	}
	failpoint.Here("after it was made", spec.Service)
	return p, made, nil
}

// facts gathers what the mapping must know of the engine and the machine.
func (c *creator) facts(ctx context.Context, spec *rhumb.ReplicaSpec) (drawing.Facts, error) {
	api, err := c.Version(ctx)
	if err != nil {
		return drawing.Facts{}, err
	}
	f := drawing.Facts{API: api}
	if in := &spec.Container; in.NetworkMode == "host" && len(spec.Hosts) > 0 && len(in.ExtraHosts) == 0 {
		if f.Machine, err = hostsfile.Machine("/etc/hosts"); err != nil {
			return drawing.Facts{}, rhumb.Errorf(rhumb.Internal, "start %s: the machine's hosts file: %w", spec.Name(), err)
		}
	}
	if f.Volumes, err = c.declaredVolumes(ctx, spec); err != nil {
		return drawing.Facts{}, err
	}
	if len(f.Volumes) > 0 {
		f.Covered, err = c.joinedMounts(ctx, spec)
	}
	return f, err
}

// joinedMounts returns the paths that the replica takes from the volumes of other replicas.
func (c *creator) joinedMounts(ctx context.Context, spec *rhumb.ReplicaSpec) ([]string, error) {
	var targets []string
	for _, from := range spec.Container.VolumesFrom {
		service, rest, _ := strings.Cut(from, ":")
		id, ok := spec.Joined[service]
		if service == "container" && rest != "" {
			id, _, _ = strings.Cut(rest, ":")
		} else if !ok {
			continue // the mapping reports it
		}
		r, err := c.API.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return nil, c.FailNeed(err, "take the volumes of "+observed.Short(id))
		}
		for _, m := range r.Container.Mounts {
			targets = append(targets, m.Destination)
		}
	}
	return targets, nil
}

// failure explains why a replica was not created.
func (c *creator) failure(ctx context.Context, err error, spec *rhumb.ReplicaSpec) error {
	failed := c.Fail(err, "make "+spec.Name())
	switch text := conn.Words(err); {
	case conn.Is(failed, rhumb.NotFound) && c.lacksImage(ctx, spec):
		return rhumb.Errorf(rhumb.Invalid, "make %s: the engine has no image %s", spec.Name(),
			drawing.Image(&spec.Container)).
			WithHint("it was removed since the release was made: deploy again")
	case conn.Is(failed, rhumb.Internal) && (strings.Contains(text, "invalid") || strings.Contains(text, "supported")):
		return &rhumb.Error{Code: rhumb.Invalid, Msg: "make " + spec.Name() + ": " + text, Err: err}
	}
	return c.FailNeed(err, "make "+spec.Name())
}

// lacksImage reports whether the engine doesn't have a replica's image.
func (c *creator) lacksImage(ctx context.Context, spec *rhumb.ReplicaSpec) bool {
	i, err := images.Inspect(ctx, c.Conn, drawing.Image(&spec.Container))
	return err == nil && i == nil
}

// declaredVolumes returns the paths at which the image of a spec declares volumes. It asks the engine once per image.
func (c *creator) declaredVolumes(ctx context.Context, spec *rhumb.ReplicaSpec) ([]string, error) {
	ref := drawing.Image(&spec.Container)
	if v, ok := c.declared.Load(ref); ok {
		return v.([]string), nil
	}
	i, err := images.Inspect(ctx, c.Conn, ref)
	if err != nil {
		return nil, err
	}
	if i == nil || i.Config == nil {
		return nil, nil // creating the container reports the missing image
	}
	volumes := images.Volumes(i)
	if ref == i.ID { // a name may mean another image later
		c.declared.Store(ref, volumes)
	}
	return volumes, nil
}
