package convert

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/place"
)

const (
	drainServed = 30 * time.Second // for services with routes or published ports
	drainInner  = 5 * time.Second  // for all others
)

// service converts one service.
func (c *converter) service(s types.ServiceConfig) rhumb.Service {
	x := c.extras[s.Name]
	out := rhumb.Service{Name: s.Name, Container: c.container(s), Pull: c.pull(s), Job: c.awaited[s.Name],
		Routes: x.Routes, AccessLog: x.AccessLog, Metrics: x.Metrics, Limits: x.Limits, Bans: x.Bans,
		SendProxy: x.SendProxy, AcceptProxy: x.AcceptProxy}
	out.Ports, out.Container.HostPorts = c.ports(s)
	out.Container.Expose = c.expose(s, x.Routes)
	if s.Build != nil {
		out.Build = c.build(s)
	}
	out.Replicas = c.replicas(s)
	out.DependsOn = c.dependencies(s)
	out.Update, out.Rollback = c.policies(s)
	out.Restart = c.restart(s)
	out.Order, out.OrderWhy = c.order(s, &out)
	out.Strategy = x.Strategy
	out.Ready = c.ready(s, &out)
	out.Drain = drainInner
	if out.Served() {
		out.Drain, out.Hold = drainServed, rhumb.UsualHold
	}
	if x.Drain != nil {
		out.Drain = *x.Drain
	}
	if x.Hold != nil {
		out.Hold = *x.Hold
	}
	c.alone(s, &out)
	return out
}

// container converts the container of a replica.
func (c *converter) container(s types.ServiceConfig) rhumb.Container {
	out := rhumb.Container{
		Image: s.Image, Platform: s.Platform,
		Command: []string(s.Command), Entrypoint: []string(s.Entrypoint),
		Env: c.env(s), Labels: c.labels(s), Annotations: filled(s.Annotations),
		Hostname: s.Hostname, Domainname: s.DomainName, User: s.User, GroupAdd: s.GroupAdd, WorkingDir: s.WorkingDir,
		TTY: s.Tty, StdinOpen: s.StdinOpen, Init: s.Init, ReadOnly: s.ReadOnly, Umask: s.Umask,
		StopSignal: s.StopSignal, StopGrace: stopGrace(s.StopGracePeriod), Health: c.health(s),
		Networks: c.attachments(s), NetworkMode: networkMode(s.NetworkMode),
		PID: s.Pid, IPC: s.Ipc, UTS: s.Uts, UsernsMode: s.UserNSMode, Cgroup: s.Cgroup, CgroupParent: s.CgroupParent,
		MacAddress: c.mac(s),
		DNS:        s.DNS, DNSSearch: s.DNSSearch, DNSOpts: s.DNSOpts,
		CapAdd: s.CapAdd, CapDrop: s.CapDrop, Privileged: s.Privileged, SecurityOpt: c.security(s),
		Sysctls: filled(s.Sysctls), DeviceCgroupRules: s.DeviceCgroupRules, Runtime: s.Runtime,
		Logging: logging(s.Logging), Resources: c.resources(s), StorageOpt: filled(s.StorageOpt),
	}
	out.Mounts = c.mounts(s)
	out.VolumesFrom = c.volumesFrom(s)
	out.ExtraHosts = hosts(s.ExtraHosts)
	out.Ulimits = ulimits(s.Ulimits)
	out.Devices = c.devices(s)
	return withoutEmpty(out)
}

// withoutEmpty replaces empty lists by nil, so that they don't change the hash. For Command and Entrypoint an empty
// list differs from none.
func withoutEmpty(c rhumb.Container) rhumb.Container {
	for _, list := range []*[]string{&c.GroupAdd, &c.DNS, &c.DNSSearch, &c.DNSOpts, &c.CapAdd, &c.CapDrop, &c.SecurityOpt,
		&c.DeviceCgroupRules} {
		if len(*list) == 0 {
			*list = nil
		}
	}
	return c
}

// hosts returns "name:address" for each entry, sorted, or nil.
func hosts(h types.HostsList) []string {
	if len(h) == 0 {
		return nil
	}
	return slices.Sorted(slices.Values(h.AsList(":")))
}

func networkMode(mode string) string {
	if joins(mode) {
		return ""
	}
	return mode
}

func stopGrace(d *types.Duration) time.Duration {
	switch {
	case d == nil:
		return 0
	case *d <= 0:
		return -1
	}
	return time.Duration(*d)
}

// env returns the environment. Like Compose, it leaves out a variable without a value that the process's environment
// doesn't have.
func (c *converter) env(s types.ServiceConfig) map[string]string {
	env := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(s.Environment)) {
		if v := s.Environment[k]; v != nil {
			env[k] = *v
			continue
		}
		c.note("services."+s.Name+".environment."+k, rhumb.Ignored,
			"the variable has no value here and none in the environment: it is left out")
	}
	return filled(env)
}

func (c *converter) labels(s types.ServiceConfig) map[string]string {
	labels := map[string]string{}
	if s.Deploy != nil {
		maps.Copy(labels, s.Deploy.Labels)
	}
	maps.Copy(labels, s.Labels)
	return filled(labels)
}

const testHint = `write ["CMD", …], ["CMD-SHELL", "a line"] or a plain string`

func (c *converter) health(s types.ServiceConfig) *rhumb.Healthcheck {
	hc := s.HealthCheck
	if hc == nil {
		return nil
	}
	if hc.Disable {
		return &rhumb.Healthcheck{Test: []string{"NONE"}}
	}
	path := "services." + s.Name + ".healthcheck"
	if len(hc.Test) > 0 && hc.Test[0] != "CMD" && hc.Test[0] != "CMD-SHELL" && hc.Test[0] != "NONE" {
		c.bad.At(path+".test", testHint, "the list begins with %q", hc.Test[0])
	} else if len(hc.Test) == 1 && hc.Test[0] != "NONE" {
		c.bad.At(path+".test", testHint, "nothing follows %s", hc.Test[0])
	}
	out := &rhumb.Healthcheck{Test: hc.Test, Interval: c.duration(path+".interval", hc.Interval),
		Timeout:       c.duration(path+".timeout", hc.Timeout),
		StartPeriod:   c.duration(path+".start_period", hc.StartPeriod),
		StartInterval: c.duration(path+".start_interval", hc.StartInterval)}
	if hc.Retries != nil {
		out.Retries = int(min(*hc.Retries, 1<<30))
	}
	return out
}

func (c *converter) duration(path string, d *types.Duration) time.Duration {
	if d == nil {
		return 0
	}
	if *d < 0 {
		c.bad.At(path, place.TimeHint, "a time can't be negative")
	}
	return time.Duration(*d)
}

func (c *converter) pull(s types.ServiceConfig) rhumb.PullPolicy {
	if s.PullPolicy == "" && s.PullRefreshAfter != "" {
		return rhumb.PullAlways
	}
	switch s.PullPolicy {
	case "", "missing", "if_not_present":
		return rhumb.PullMissing
	case "always":
		return rhumb.PullAlways
	case "never":
		return rhumb.PullNever
	case "build":
		if s.Build == nil && !c.bad.Said("services."+s.Name+".build") {
			c.bad.At("services."+s.Name+".pull_policy", "add build, or choose another policy",
				"build: there is nothing to build")
		}
		return rhumb.PullBuild
	}
	if _, _, err := s.GetPullPolicy(); err != nil {
		c.bad.At("services."+s.Name+".pull_policy", "choose always, missing, never or build", "unknown policy %q",
			s.PullPolicy)
	}
	return rhumb.PullAlways
}

// dependencies converts depends_on. The library has added the dependencies of links, shared namespaces and
// volumes_from.
func (c *converter) dependencies(s types.ServiceConfig) []rhumb.Dependency {
	var list []rhumb.Dependency
	for _, name := range slices.Sorted(maps.Keys(s.DependsOn)) {
		d := s.DependsOn[name]
		if _, ok := c.project.Services[name]; !ok {
			continue // optional and inactive; check reports anything else
		}
		list = append(list, rhumb.Dependency{Service: name,
			Condition: cmp.Or(rhumb.Condition(d.Condition), rhumb.DependsStarted),
			Optional:  !d.Required, Restart: d.Restart})
	}
	return list
}

func (c *converter) replicas(s types.ServiceConfig) int {
	n := s.GetScale()
	path := "services." + s.Name + ".scale"
	if s.Scale == nil {
		path = "services." + s.Name + ".deploy.replicas"
	}
	switch {
	case n < 0 || n > 1000:
		c.bad.At(path, "write a number from 0 to 1000", "%d replicas are out of range", n)
	case c.awaited[s.Name] && n != 1:
		c.note(path, rhumb.Ignored, "others await the service's completion: it runs once")
	}
	if c.awaited[s.Name] || s.Deploy != nil && s.Deploy.Mode == "global" {
		return 1
	}
	return n
}

// alone reports options that replicas can't share.
func (c *converter) alone(s types.ServiceConfig, out *rhumb.Service) {
	if out.Replicas < 2 {
		return
	}
	reason := ""
	for _, a := range out.Container.Networks {
		if a.IPv4 != "" || a.IPv6 != "" {
			reason = "one address: " + cmp.Or(a.IPv4, a.IPv6)
		}
	}
	for _, p := range out.Container.HostPorts {
		if p.Published != 0 && int(p.PublishedEnd)-int(p.Published)+1 < out.Replicas {
			reason = "host port " + strconv.Itoa(int(p.Published))
		}
	}
	if fixedMAC(&out.Container) {
		reason = "one MAC address"
	}
	if reason != "" {
		c.bad.At("services."+s.Name, "run one replica, or leave that out", "%d replicas can't share %s", out.Replicas, reason)
	}
}

func (c *converter) volumesFrom(s types.ServiceConfig) []string {
	for i, v := range s.VolumesFrom {
		_, mode, said := strings.Cut(strings.TrimPrefix(v, types.ContainerPrefix), ":")
		if said && mode != "ro" && mode != "rw" {
			c.bad.At(fmt.Sprintf("services.%s.volumes_from[%d]", s.Name, i), "write NAME, NAME:ro or container:NAME:ro",
				"%q: unknown mode %q", v, mode)
		}
	}
	return s.VolumesFrom
}
