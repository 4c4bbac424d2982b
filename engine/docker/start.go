package docker

import (
	"context"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker/internal/drawing"
	"rhumb/engine/docker/internal/hostsfile"
	"rhumb/engine/docker/internal/label"
	"rhumb/engine/docker/internal/observed"
	"rhumb/internal/failpoint"
)

// Start creates and starts a replica.
func (e *Engine) Start(ctx context.Context, spec rhumb.ReplicaSpec) (rhumb.Replica, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	// Two calls for one name must not join its networks at the same time: the later one would fail over what the earlier
	// one did.
	release, err := e.starting.hold(ctx, spec.Name())
	if err != nil {
		return rhumb.Replica{}, e.fail(err, "start "+spec.Name())
	}
	defer release()
	p, made, err := e.createReplica(ctx, &spec, nil)
	if p != nil && is(err, rhumb.Conflict) {
		return e.resumeStart(ctx, &spec, p, err)
	}
	if err != nil {
		return rhumb.Replica{}, err
	}
	r, err := e.joinAndStart(ctx, made.ID, spec.Name(), p.Further)
	r.Warnings = made.Warnings
	return r, err
}

// createReplica creates the container of a replica. If it fails before the engine is asked, the plan is nil. amend,
// unless it is nil, changes the plan before that.
func (e *Engine) createReplica(ctx context.Context, spec *rhumb.ReplicaSpec,
	amend func(*drawing.Plan)) (p *drawing.Plan, made client.ContainerCreateResult, err error) {
	f, err := e.facts(ctx, spec)
	if err != nil {
		return nil, made, err
	}
	// Until the container exists, nothing shows that these files are in use: a sweep would remove them.
	e.files.Sweeping.RLock()
	defer e.files.Sweeping.RUnlock()
	if f.Files, err = e.placeFiles(ctx, spec); err != nil {
		return nil, made, err
	}
	if p, err = drawing.Draw(spec, f); err != nil {
		return nil, made, err
	}
	if err := makeFolders(spec); err != nil {
		return nil, made, err
	}
	if err := e.checkVolumes(ctx, spec); err != nil {
		return nil, made, err
	}
	if amend != nil {
		amend(p)
	}
	failpoint.Here("before it is made", spec.Service)
	if made, err = e.createContainer(ctx, p.Create); err != nil {
		return p, made, e.createFailure(ctx, err, spec)
	}
	failpoint.Here("after it was made", spec.Service)
	return p, made, nil
}

// facts gathers what the mapping must know of the engine and the machine.
func (e *Engine) facts(ctx context.Context, spec *rhumb.ReplicaSpec) (drawing.Facts, error) {
	api, err := e.APIVersion(ctx)
	if err != nil {
		return drawing.Facts{}, err
	}
	f := drawing.Facts{API: api}
	if c := &spec.Container; c.NetworkMode == "host" && len(spec.Hosts) > 0 && len(c.ExtraHosts) == 0 {
		if f.Machine, err = hostsfile.Machine("/etc/hosts"); err != nil {
			return drawing.Facts{}, rhumb.Errorf(rhumb.Internal, "start %s: the machine's hosts file: %w", spec.Name(), err)
		}
	}
	if f.Volumes, err = e.declaredVolumes(ctx, spec); err != nil {
		return drawing.Facts{}, err
	}
	if len(f.Volumes) > 0 {
		f.Covered, err = e.joinedMounts(ctx, spec)
	}
	return f, err
}

// joinedMounts returns the paths that the replica takes from the volumes of other replicas.
func (e *Engine) joinedMounts(ctx context.Context, spec *rhumb.ReplicaSpec) ([]string, error) {
	var targets []string
	for _, from := range spec.Container.VolumesFrom {
		service, rest, _ := strings.Cut(from, ":")
		id, ok := spec.Joined[service]
		if service == "container" && rest != "" {
			id, _, _ = strings.Cut(rest, ":")
		} else if !ok {
			continue // the mapping reports it
		}
		r, err := e.api.ContainerInspect(ctx, id, client.ContainerInspectOptions{})
		if err != nil {
			return nil, e.invalidIfMissing(err, "take the volumes of "+observed.Short(id))
		}
		for _, m := range r.Container.Mounts {
			targets = append(targets, m.Destination)
		}
	}
	return targets, nil
}

// createFailure explains why a replica was not created.
func (e *Engine) createFailure(ctx context.Context, err error, spec *rhumb.ReplicaSpec) error {
	failed := e.fail(err, "make "+spec.Name())
	switch text := words(err); {
	case is(failed, rhumb.NotFound) && e.lacksImage(ctx, &spec.Container):
		return rhumb.Errorf(rhumb.Invalid, "make %s: the engine has no image %s", spec.Name(),
			drawing.Image(&spec.Container)).
			WithHint("it was removed since the release was made: deploy again")
	case is(failed, rhumb.NotFound):
		return &rhumb.Error{Code: rhumb.Invalid, Msg: "make " + spec.Name() + ": " + text, Err: err}
	case is(failed, rhumb.Internal) && (strings.Contains(text, "invalid") || strings.Contains(text, "supported")):
		return &rhumb.Error{Code: rhumb.Invalid, Msg: "make " + spec.Name() + ": " + text, Err: err}
	}
	return failed
}

// lacksImage reports whether the engine doesn't have a container's image.
func (e *Engine) lacksImage(ctx context.Context, c *rhumb.Container) bool {
	i, err := e.imageInspect(ctx, drawing.Image(c))
	return err == nil && i == nil
}

// resumeStart continues a start whose replica's name is taken: by an earlier call that was cut off, or by something
// else.
func (e *Engine) resumeStart(ctx context.Context, spec *rhumb.ReplicaSpec, p *drawing.Plan,
	taken error) (rhumb.Replica, error) {
	c, err := e.inspect(ctx, spec.Name())
	if is(err, rhumb.NotFound) {
		return rhumb.Replica{}, taken
	}
	if err != nil {
		return rhumb.Replica{}, err
	}
	r := observed.Replica(c)
	if r.Stack != spec.Stack || r.Service != spec.Service || r.Spec != spec.Spec {
		return rhumb.Replica{}, rhumb.Errorf(rhumb.Conflict, "start %s: a replica of that name and another spec is there",
			spec.Name())
	}
	if r.State != rhumb.StateCreated {
		return r, nil
	}
	var missing []drawing.Connection
	wanted := p.Further
	if at := p.Create.NetworkingConfig; at != nil {
		for name, endpoint := range at.EndpointsConfig {
			wanted = append(wanted, drawing.Connection{Network: name, Endpoint: endpoint})
		}
	}
	for _, n := range wanted {
		if c.NetworkSettings == nil || c.NetworkSettings.Networks[n.Network] == nil {
			missing = append(missing, n)
		}
	}
	return e.joinAndStart(ctx, c.ID, spec.Name(), missing)
}

// joinAndStart joins a created replica to its further networks and starts it.
func (e *Engine) joinAndStart(ctx context.Context, id, name string,
	further []drawing.Connection) (rhumb.Replica, error) {
	join := func(n drawing.Connection) error {
		_, err := e.api.NetworkConnect(ctx, n.Network, client.NetworkConnectOptions{Container: id,
			EndpointConfig: n.Endpoint})
		return err
	}
	for _, n := range further {
		if n.Beside {
			continue
		}
		if err := join(n); err != nil {
			return rhumb.Replica{}, e.removeUnstarted(ctx, id, e.invalidIfMissing(err, "join "+name+" to network "+n.Network))
		}
	}
	if _, err := e.api.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return e.startFailure(ctx, id, name, err)
	}
	for _, n := range further { // not before the start, which a missing network would fail
		if !n.Beside {
			continue
		}
		if err := join(n); err != nil && !is(e.fail(err, "join"), rhumb.NotFound) {
			e.log.Warn("network beside not joined", "replica", name, "network", n.Network, "err", err)
		}
	}
	return e.replica(ctx, id)
}

// startFailure distinguishes a replica that can't run, which stays and carries the reason, from one that the engine
// didn't try to run.
func (e *Engine) startFailure(ctx context.Context, id, name string, err error) (rhumb.Replica, error) {
	failed := e.fail(err, "start "+name)
	switch text := words(err); {
	case is(failed, rhumb.Unavailable), is(failed, rhumb.Timeout), is(failed, rhumb.Cancelled):
		return rhumb.Replica{}, failed
	case strings.Contains(text, "port is already allocated"), strings.Contains(text, "address already in use"):
		taken := &rhumb.Error{Code: rhumb.Conflict, Msg: "start " + name + ": " + portWords(text), Err: err,
			Hint: "another program or container has the port: ss -lntup shows which"}
		return rhumb.Replica{}, e.removeUnstarted(ctx, id, taken)
	case strings.Contains(text, "network") && strings.Contains(text, "not found"):
		return rhumb.Replica{}, e.removeUnstarted(ctx, id, e.invalidIfMissing(err, "start "+name))
	}
	r, lookErr := e.replica(ctx, id)
	if lookErr != nil {
		return rhumb.Replica{}, lookErr
	}
	if r.Alive() || r.State == rhumb.StateCreated {
		return rhumb.Replica{}, failed // the engine didn't try
	}
	return r, nil
}

// invalidIfMissing turns NotFound for something that a replica needs into Invalid: retrying cannot help.
func (e *Engine) invalidIfMissing(err error, doing string) error {
	failed := e.fail(err, doing)
	if is(failed, rhumb.NotFound) {
		return &rhumb.Error{Code: rhumb.Invalid, Msg: doing + ": " + words(err), Err: err}
	}
	return failed
}

// removeUnstarted removes a replica that never ran, and returns why.
func (e *Engine) removeUnstarted(ctx context.Context, id string, why error) error {
	if is(why, rhumb.Unavailable) || is(why, rhumb.Cancelled) || is(why, rhumb.Timeout) {
		return why // the next call finds the replica and continues
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTimeout)
	defer cancel()
	// Named volumes, such as those of slots, stay.
	if _, err := e.api.ContainerRemove(ctx, id, client.ContainerRemoveOptions{Force: true,
		RemoveVolumes: true}); err != nil {
		e.log.Warn("replica that never ran not removed", "id", observed.Short(id), "err", err)
	}
	return why
}

// portWords returns the part of the engine's message that is about the port.
func portWords(text string) string {
	for _, start := range []string{"Bind for ", "listen tcp", "listen udp"} {
		if i := strings.Index(text, start); i >= 0 {
			return text[i:]
		}
	}
	return text
}

// Stop sends the stop signal, waits as long as the replica's grace, and kills.
func (e *Engine) Stop(ctx context.Context, id string) error {
	look, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := e.inspect(look, id)
	if is(err, rhumb.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if r := observed.Replica(c); !r.Alive() {
		return nil
	}
	ctx, cancelStop := context.WithTimeout(ctx, grace(c)+stopMargin)
	defer cancelStop()
	_, err = e.api.ContainerStop(ctx, c.ID, client.ContainerStopOptions{})
	if failed := e.fail(err, "stop "+observed.Name(c)); failed != nil && !is(failed, rhumb.NotFound) {
		return failed
	}
	return nil
}

// grace returns how long the engine waits between the stop signal and SIGKILL.
func grace(c *container.InspectResponse) time.Duration {
	if c.Config.StopTimeout == nil {
		return new(rhumb.Container).Grace() // Docker's default is the same
	}
	return time.Duration(*c.Config.StopTimeout) * time.Second
}

// Remove removes a dead replica and leaves its volumes. With a one-off its anonymous volumes go too.
func (e *Engine) Remove(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	c, err := e.inspect(ctx, id)
	if is(err, rhumb.NotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if r := observed.Replica(c); r.Alive() {
		return rhumb.Errorf(rhumb.Conflict, "remove %s: it runs", observed.Name(c)).WithHint("stop it first")
	}
	_, err = e.api.ContainerRemove(ctx, c.ID,
		client.ContainerRemoveOptions{RemoveVolumes: c.Config.Labels[label.OneOff] != ""})
	failed := e.fail(err, "remove "+observed.Name(c))
	if is(failed, rhumb.NotFound) || is(failed, rhumb.Conflict) && strings.Contains(failed.Error(), "in progress") {
		return nil
	}
	return failed
}
