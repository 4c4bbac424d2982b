// Package drawing maps a replica's spec to a request to Docker. It does no I/O, so that everything that can't be mapped
// is reported before anything happens.
package drawing

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"
	"github.com/moby/moby/client/pkg/versions"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"rhumb"
	"rhumb/engine/docker/internal/hostsfile"
	"rhumb/engine/docker/internal/label"
)

// Plan is the requests that create one replica.
type Plan struct {
	Create  client.ContainerCreateOptions
	Further []Connection // networks to join between creation and start
}

// Facts is what a mapping must know of the engine and the machine.
type Facts struct {
	API     string            // the negotiated API version
	Files   map[string]string // by target: the path of a mounted file's content
	Volumes []string          // declared by the image
	Covered []string          // paths that volumes of other replicas take
	Machine []string          // the lines of the machine's hosts file, for a replica on its network: "name:address"
}

// drawing maps a spec to a plan, and collects what can't be mapped.
type drawing struct {
	spec *rhumb.ReplicaSpec
	c    *rhumb.Container
	Facts
	errs rhumb.Errors
}

// Draw maps a replica's spec to a Plan. It returns all mistakes at once: Unsupported for what the engine can't do,
// Invalid for what can't be right.
func Draw(spec *rhumb.ReplicaSpec, f Facts) (*Plan, error) {
	d := &drawing{spec: spec, c: &spec.Container, Facts: f}
	d.errs = rhumb.EngineInfo{APIVersion: f.API}.UnmetByContainer(spec.Service, d.c)
	if err := hostsfile.Check(spec.Hosts); err != nil {
		d.invalid("hosts file: %v", err)
	}
	host := d.host()
	networking, further := d.networks()
	p := &Plan{
		Create: client.ContainerCreateOptions{
			Name: spec.Name(), Config: d.config(host.PortBindings), HostConfig: host,
			NetworkingConfig: networking, Platform: d.platform(),
		},
		Further: further,
	}
	if len(d.errs) > 0 {
		return nil, d.errs
	}
	return p, nil
}

func (d *drawing) invalid(format string, args ...any) {
	d.errs = append(d.errs, rhumb.Errorf(rhumb.Invalid, "service "+d.spec.Service+": "+format, args...))
}

// Image returns the image that a container runs: exactly the one that the release resolved.
func Image(c *rhumb.Container) string {
	if c.ImageID != "" {
		return c.ImageID
	}
	return c.Image
}

// config maps what belongs to the container itself.
func (d *drawing) config(published network.PortMap) *container.Config {
	c := d.c
	cfg := &container.Config{
		Image: Image(c), Hostname: c.Hostname, Domainname: c.Domainname, User: c.User, WorkingDir: c.WorkingDir,
		Tty: c.TTY, OpenStdin: c.StdinOpen, Env: environment(c.Env), Cmd: c.Command, Entrypoint: c.Entrypoint,
		StopSignal: c.StopSignal, StopTimeout: stopTimeout(c.StopGrace), Healthcheck: d.health(),
		Labels: d.labels(), ExposedPorts: d.exposed(published),
	}
	if c.Entrypoint != nil && len(c.Entrypoint) == 0 {
		cfg.Entrypoint = []string{""} // for the engine: none, not even the image's
	}
	return cfg
}

// labels returns the user's labels, overridden by rhumb's own.
func (d *drawing) labels() map[string]string {
	s := d.spec
	l := maps.Clone(d.c.Labels)
	if l == nil {
		l = map[string]string{}
	}
	maps.DeleteFunc(l, func(k, _ string) bool { return strings.HasPrefix(k, "dev.rhumb.") })
	l[label.Stack], l[label.Service], l[label.Spec] = s.Stack, s.Service, s.Spec
	l[label.Release], l[label.Slot] = strconv.Itoa(s.Release), strconv.Itoa(s.Slot)
	if s.Restarts != 0 {
		l[label.Restarts] = strconv.Itoa(s.Restarts)
	}
	if s.PostStart {
		l[label.PostStart] = "1"
	}
	var beside []string
	for _, a := range d.beside() {
		beside = append(beside, a.Network)
	}
	if len(beside) > 0 {
		l[label.Beside] = strings.Join(beside, ",")
	}
	if s.OneOff != "" {
		l[label.OneOff] = s.OneOff
		l[label.Slot] = "0"
	}
	if own := d.furtherHosts(); len(own) > 0 {
		l[label.Hosts] = hostsfile.Label(own)
	}
	if service, ok := strings.CutPrefix(d.c.NetworkMode, "service:"); ok {
		l[label.Joined] = s.Joined[service]
	}
	return l
}

// environment returns sorted "K=V" lines.
func environment(env map[string]string) []string {
	lines := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		lines = append(lines, k+"="+env[k])
	}
	return lines
}

// stopTimeout returns the grace in whole seconds, rounded up; nil is the engine's ten seconds.
func stopTimeout(grace time.Duration) *int {
	if grace == 0 {
		return nil
	}
	s := max(0, int(math.Ceil(grace.Seconds())))
	return &s
}

// health maps the check; nil keeps the image's. Below API 1.44 there is no start interval. None is needed: until a
// replica is ready, rhumb runs the check itself.
func (d *drawing) health() *container.HealthConfig {
	h := d.c.Health
	if h == nil {
		return nil
	}
	cfg := &container.HealthConfig{
		Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, Retries: h.Retries, StartPeriod: h.StartPeriod,
	}
	if !versions.LessThan(d.API, "1.44") {
		cfg.StartInterval = h.StartInterval
	}
	return cfg
}

// exposed returns the exposed ports; the engine publishes no others. A replica in another's network namespace has no
// ports of its own.
func (d *drawing) exposed(published network.PortMap) network.PortSet {
	if joins(d.c.NetworkMode) {
		return nil
	}
	set := network.PortSet{}
	for p := range published {
		set[p] = struct{}{}
	}
	for _, e := range d.c.Expose {
		r, err := network.ParsePortRange(e)
		if err != nil {
			d.invalid("exposed port %q: %v", e, err)
			continue
		}
		for p := range r.All() {
			set[p] = struct{}{}
		}
	}
	return set
}

// platform returns the requested platform; nil: any.
func (d *drawing) platform() *ocispec.Platform {
	if d.c.Platform == "" {
		return nil
	}
	parts := strings.Split(d.c.Platform, "/")
	p := &ocispec.Platform{OS: parts[0]}
	switch len(parts) {
	case 3:
		p.Variant = parts[2]
		fallthrough
	case 2:
		p.Architecture = parts[1]
		return p
	}
	d.invalid("platform %q is not OS/ARCH or OS/ARCH/VARIANT", d.c.Platform)
	return nil
}

// host maps what belongs to the machine that the container runs on.
func (d *drawing) host() *container.HostConfig {
	c := d.c
	h := &container.HostConfig{
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled}, // restarting is rhumb's
		LogConfig:     logging(c.Logging), GroupAdd: c.GroupAdd, Init: c.Init, ReadonlyRootfs: c.ReadOnly,
		PidMode: container.PidMode(d.join("pid", c.PID)), IpcMode: container.IpcMode(d.join("ipc", c.IPC)),
		UTSMode: container.UTSMode(c.UTS), UsernsMode: container.UsernsMode(c.UsernsMode),
		CgroupnsMode: container.CgroupnsMode(c.Cgroup), DNS: d.addresses("dns", c.DNS), DNSSearch: c.DNSSearch,
		DNSOptions: c.DNSOpts, ExtraHosts: d.extraHosts(), CapAdd: c.CapAdd, CapDrop: c.CapDrop, Privileged: c.Privileged,
		SecurityOpt: c.SecurityOpt, Sysctls: c.Sysctls, Runtime: c.Runtime, StorageOpt: c.StorageOpt,
		ShmSize: c.Resources.ShmSize, OomScoreAdj: c.Resources.OOMScoreAdj, Resources: d.resources(),
		PortBindings: d.bindings(), VolumesFrom: d.volumesFrom(), Annotations: c.Annotations, Umask: c.Umask,
	}
	h.NetworkMode = container.NetworkMode(d.networkMode())
	d.mounts(h)
	return h
}

// logging maps the log driver.
func logging(l rhumb.Logging) container.LogConfig {
	if l.Driver == "" && len(l.Options) == 0 {
		return container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10m", "max-file": "3"}}
	}
	if l.Driver == "" {
		l.Driver = "json-file"
	}
	return container.LogConfig{Type: l.Driver, Config: l.Options}
}

// join turns "service:NAME" into "container:ID" of the replica to join.
func (d *drawing) join(what, mode string) string {
	service, ok := strings.CutPrefix(mode, "service:")
	if !ok {
		return mode
	}
	id := d.spec.Joined[service]
	if id == "" {
		d.invalid("%s %q: the service %s has no replica to join", what, mode, service)
	}
	return "container:" + id
}

// joins reports whether a network mode means another container's namespace.
func joins(mode string) bool {
	return strings.HasPrefix(mode, "service:") || strings.HasPrefix(mode, "container:")
}

// extraHosts returns the lines for the hosts file.
func (d *drawing) extraHosts() []string {
	lines := slices.Concat(d.c.ExtraHosts, d.Machine)
	own := d.furtherHosts()
	for _, name := range slices.Sorted(maps.Keys(own)) {
		lines = append(lines, name+":"+own[name])
	}
	return lines
}

// furtherHosts returns rhumb's own names for the hosts file. A joined namespace brings its own file.
func (d *drawing) furtherHosts() map[string]string {
	if joins(d.c.NetworkMode) {
		return nil
	}
	return hostsfile.Further(d.spec.Hosts, slices.Concat(d.c.ExtraHosts, d.Machine), nil)
}

// addresses parses addresses.
func (d *drawing) addresses(what string, list []string) []netip.Addr {
	var addrs []netip.Addr
	for _, s := range list {
		if a, ok := d.address(what, s); ok {
			addrs = append(addrs, a)
		}
	}
	return addrs
}

// address parses one address; "" is the zero value.
func (d *drawing) address(what, s string) (netip.Addr, bool) {
	if s == "" {
		return netip.Addr{}, true
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		d.invalid("%s: %q is not an IP address", what, s)
		return netip.Addr{}, false
	}
	return a, true
}
