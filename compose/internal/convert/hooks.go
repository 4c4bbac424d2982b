package convert

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/extension"
	"rhumb/compose/internal/keys"
)

// hooks converts a service's hooks. It returns the pre_start hooks that run once: they are jobs, and the service
// waits for them.
func (c *converter) hooks(s types.ServiceConfig, out *rhumb.Service) []rhumb.Service {
	path := "services." + s.Name + "."
	out.PostStart = c.inside(path+"post_start", s.PostStart, c.limit(s, rhumb.HookPostStart))
	out.PreStop = c.inside(path+"pre_stop", s.PreStop, c.limit(s, rhumb.HookPreStop))
	out.After = c.after(s, out)
	var jobs []rhumb.Service
	deps := slices.Clone(out.DependsOn)
	for i := range deps {
		deps[i].Restart = false // a change of the service itself is enough
	}
	for i, h := range s.PreStart {
		k, pull := c.hookContainer(s, h, i, out)
		if h.PerReplica {
			out.PreStart = append(out.PreStart,
				rhumb.PreStart{Number: i + 1, Container: k, Pull: pull, Timeout: c.limit(s, rhumb.HookPreStart)})
			continue
		}
		job := rhumb.Service{Name: rhumb.HookService(s.Name, i+1), Container: k, Pull: pull, Replicas: 1, Job: true,
			DependsOn: deps, Order: rhumb.StartFirst,
			Restart:  rhumb.Restart{Condition: rhumb.RestartNone},
			Ready:    rhumb.Ready{Kind: rhumb.ReadyExit, Timeout: c.limit(s, rhumb.HookPreStart)},
			Update:   rhumb.Policy{Parallelism: 1, OnFailure: rhumb.ActionRollback},
			Rollback: rhumb.Policy{OnFailure: rhumb.ActionPause}}
		jobs = append(jobs, job)
		done := rhumb.Dependency{Service: job.Name, Condition: rhumb.DependsCompleted}
		deps = append(slices.Clone(deps), done)
		out.DependsOn = append(slices.Clone(out.DependsOn), done)
	}
	return jobs
}

// limit returns the time limit of a service's hooks of a kind.
func (c *converter) limit(s types.ServiceConfig, kind rhumb.HookKind) time.Duration {
	if d := c.extras[s.Name].Hooks[kind]; d != nil {
		return *d
	}
	if kind == rhumb.HookPreStart {
		return extension.PreStartTimeout
	}
	return extension.HookTimeout
}

// hookContainer converts the container of a pre_start hook, and its pull policy. The library has completed the hook
// with its service's values, except the mounts. The hook has no names and publishes no ports, and without an image of
// its own it uses the service's.
func (c *converter) hookContainer(s types.ServiceConfig, h types.PreStartHook, i int,
	of *rhumb.Service) (rhumb.Container, rhumb.PullPolicy) {
	inherits := h.Image == "" || h.Image == s.Image
	switch {
	case h.NetworkMode != s.NetworkMode: // the hook's own mode
		h.Networks = nil
	case len(h.Networks) > 0: // the hook's own networks, if the service has a mode
		h.NetworkMode = ""
	}
	if h.PullPolicy == "build" && s.PullPolicy == "build" {
		h.PullPolicy = "" // hooks have no build
	}
	s.Name = fmt.Sprintf("%s.pre_start[%d]", s.Name, i) // mistakes are reported at this path
	s.ContainerSpec, s.WorkloadSpec = h.ContainerSpec, types.WorkloadSpec{}
	k := c.container(s)
	for _, m := range of.Container.Mounts {
		if !slices.ContainsFunc(k.Mounts, func(own rhumb.Mount) bool { return own.Target == m.Target }) {
			k.Mounts = append(k.Mounts, m)
		}
	}
	for j, n := range k.Networks {
		k.Networks[j] = rhumb.Attachment{Network: n.Network, Priority: n.Priority, DriverOpts: n.DriverOpts,
			GatewayPriority: n.GatewayPriority, InterfaceName: n.InterfaceName}
	}
	k.MacAddress, k.Health = "", &rhumb.Healthcheck{Test: []string{"NONE"}}
	if inherits {
		k.Image = ""
	}
	return k, c.pull(s)
}

// inside converts the hooks that run in a replica.
func (c *converter) inside(path string, hooks []types.ServiceHook, limit time.Duration) []rhumb.Hook {
	var list []rhumb.Hook
	for i, h := range hooks {
		at := path + "[" + strconv.Itoa(i) + "]"
		if len(h.Command) == 0 {
			c.bad.At(at, "add command", "there is nothing to run")
		}
		list = append(list, rhumb.Hook{Command: []string(h.Command), Env: c.hookEnv(at, h.Environment), User: h.User,
			WorkingDir: h.WorkingDir,
			Privileged: h.Privileged, Timeout: limit})
	}
	return list
}

// hookEnv returns a hook's variables. One without a value has that of the environment, or is left out.
func (c *converter) hookEnv(path string, vars types.MappingWithEquals) map[string]string {
	env := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		v := vars[k]
		if here, ok := c.project.Environment[k]; v == nil && ok {
			v = &here
		}
		if v == nil {
			c.note(path+".environment."+k, rhumb.Ignored, "the variable has no value here and none in the environment: it "+
				"is left out")
			continue
		}
		env[k] = *v
	}
	return filled(env)
}

// after returns the check in x-rhumb.after.
func (c *converter) after(s types.ServiceConfig, out *rhumb.Service) *rhumb.Check {
	check := c.extras[s.Name].After
	if check == nil {
		return nil
	}
	path := "services." + s.Name + "." + keys.Extension + ".after"
	if out.Job {
		c.bad.At(path, "use a service that keeps running", "%s is a job, which has ended by then", s.Name)
	}
	if check.Path != "" && check.Port == 0 {
		if check.Port = firstPort(out.Container.Expose); check.Port == 0 && !c.portsLeftOut(s.Name) {
			c.bad.At(path, "add port", "the port to check is unknown")
		}
	}
	return check
}

// firstPort returns the first TCP port of a list such as 8000/tcp, or 0.
func firstPort(expose []string) uint16 {
	for _, p := range expose {
		if port, ok := strings.CutSuffix(p, "/tcp"); ok {
			n, _ := strconv.ParseUint(port, 10, 16)
			return uint16(n)
		}
	}
	return 0
}
