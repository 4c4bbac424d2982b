package compose

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
)

// How long hooks and checks may take where nothing else is said.
const (
	preStartTimeout = 10 * time.Minute
	hookTimeout     = time.Minute
)

// hooks converts a service's hooks. Those of pre_start that run once are jobs, which it gives; the service awaits them.
func (c *converter) hooks(s types.ServiceConfig, out *rhumb.Service) []rhumb.Service {
	path := "services." + s.Name + "."
	out.PostStart = c.inside(path+"post_start", s.PostStart, c.limit(s, rhumb.HookPostStart))
	out.PreStop = c.inside(path+"pre_stop", s.PreStop, c.limit(s, rhumb.HookPreStop))
	out.After = c.after(s, out)
	var jobs []rhumb.Service
	deps := slices.Clone(out.DependsOn)
	for i := range deps {
		deps[i].Restart = false // that the service itself changes is enough
	}
	for i, h := range s.PreStart {
		k := c.hookContainer(s, h, i, out)
		if h.PerReplica {
			out.PreStart = append(out.PreStart, rhumb.PreStart{Number: i + 1, Container: k, Timeout: c.limit(s, rhumb.HookPreStart)})
			continue
		}
		job := rhumb.Service{Name: rhumb.HookService(s.Name, i+1), Container: k, Pull: out.Pull, Replicas: 1, Job: true, DependsOn: deps, Order: rhumb.StartFirst,
			Restart: rhumb.Restart{Condition: rhumb.RestartNone}, Ready: rhumb.Ready{Kind: rhumb.ReadyExit, Timeout: c.limit(s, rhumb.HookPreStart)},
			Update: rhumb.Policy{Parallelism: 1, OnFailure: rhumb.ActionRollback}, Rollback: rhumb.Policy{OnFailure: rhumb.ActionPause}}
		jobs = append(jobs, job)
		done := rhumb.Dependency{Service: job.Name, Condition: rhumb.DependsCompleted}
		deps = append(slices.Clone(deps), done)
		out.DependsOn = append(slices.Clone(out.DependsOn), done)
	}
	return jobs
}

// limit is how long a service's hooks of a kind may take.
func (c *converter) limit(s types.ServiceConfig, kind rhumb.HookKind) time.Duration {
	if d := c.extras[s.Name].hooks[kind]; d != nil {
		return *d
	}
	if kind == rhumb.HookPreStart {
		return preStartTimeout
	}
	return hookTimeout
}

// hookContainer converts what a pre_start hook is made of: the library has completed it with what the service says, but for its
// mounts. It answers to no name and takes no address, and without an image of its own it has the service's.
func (c *converter) hookContainer(s types.ServiceConfig, h types.PreStartHook, i int, of *rhumb.Service) rhumb.Container {
	inherits := h.Image == "" || h.Image == s.Image
	s.Name = fmt.Sprintf("%s.pre_start[%d]", s.Name, i) // what is said of it is said there
	s.ContainerSpec, s.WorkloadSpec = h.ContainerSpec, types.WorkloadSpec{}
	k := c.container(s)
	for _, m := range of.Container.Mounts {
		if !slices.ContainsFunc(k.Mounts, func(own rhumb.Mount) bool { return own.Target == m.Target }) {
			k.Mounts = append(k.Mounts, m)
		}
	}
	for j, n := range k.Networks {
		k.Networks[j] = rhumb.Attachment{Network: n.Network, Priority: n.Priority, DriverOpts: n.DriverOpts}
	}
	k.MacAddress, k.Health = "", &rhumb.Healthcheck{Test: []string{"NONE"}}
	if inherits {
		k.Image = ""
	}
	return k
}

// inside converts the hooks that run in a replica.
func (c *converter) inside(path string, hooks []types.ServiceHook, limit time.Duration) []rhumb.Hook {
	var list []rhumb.Hook
	for i, h := range hooks {
		at := path + "[" + strconv.Itoa(i) + "]"
		if len(h.Command) == 0 {
			c.bad.at(at, "add command", "there is nothing to run")
		}
		list = append(list, rhumb.Hook{Command: []string(h.Command), Env: c.hookEnv(at, h.Environment), User: h.User, WorkingDir: h.WorkingDir,
			Privileged: h.Privileged, Timeout: limit})
	}
	return list
}

// hookEnv gives a hook's variables; one without a value has that of the environment, or is left out.
func (c *converter) hookEnv(path string, vars types.MappingWithEquals) map[string]string {
	env := map[string]string{}
	for _, k := range slices.Sorted(maps.Keys(vars)) {
		v := vars[k]
		if here, ok := c.project.Environment[k]; v == nil && ok {
			v = &here
		}
		if v == nil {
			c.note(path+".environment."+k, rhumb.Ignored, "the variable has no value here and none in the environment: it is left out")
			continue
		}
		env[k] = *v
	}
	return filled(env)
}

// after gives the check of x-rhumb.after.
func (c *converter) after(s types.ServiceConfig, out *rhumb.Service) *rhumb.Check {
	check := c.extras[s.Name].after
	if check == nil {
		return nil
	}
	path := "services." + s.Name + "." + extensionKey + ".after"
	if out.Job {
		c.bad.at(path, "give it to a service that stays", "%s is a job: it has ended by then", s.Name)
	}
	if check.Path != "" && check.Port == 0 {
		if check.Port = firstPort(out.Container.Expose); check.Port == 0 {
			c.bad.at(path, "add port", "no port to ask is known")
		}
	}
	return check
}

// firstPort gives the first TCP port of a list such as 8000/tcp; 0: there is none.
func firstPort(expose []string) uint16 {
	for _, p := range expose {
		if port, ok := strings.CutSuffix(p, "/tcp"); ok {
			n, _ := strconv.ParseUint(port, 10, 16)
			return uint16(n)
		}
	}
	return 0
}

// hooks reads how long the hooks of each kind may take.
func (r reader) hooks(v any) map[rhumb.HookKind]*time.Duration {
	limits := map[rhumb.HookKind]*time.Duration{}
	fields := r.fields(v, string(rhumb.HookPreStart), string(rhumb.HookPostStart), string(rhumb.HookPreStop))
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		at := r.below(name)
		d := at.time(fields[name])
		if d != nil && *d == 0 {
			at.wrong(timeHint, "a hook can't take no time at all")
		}
		limits[rhumb.HookKind(name)] = d
	}
	return limits
}

// after reads a check.
func (r reader) after(v any) *rhumb.Check {
	fields := r.fields(v, "command", "http", "port", "timeout")
	out := rhumb.Check{Timeout: hookTimeout}
	if v, ok := fields["command"]; ok {
		out.Command = r.below("command").command(v)
	}
	if v, ok := fields["http"]; ok {
		out.Path = r.below("http").askedPath(v)
	}
	if v, ok := fields["port"]; ok {
		if out.Path == "" {
			r.below("port").wrong("add http", "nothing says what to ask there")
		}
		out.Port = r.below("port").port(v)
	}
	if v, ok := fields["timeout"]; ok {
		if d := r.below("timeout").time(v); d != nil {
			out.Timeout = *d
		}
	}
	if fields != nil && fields["command"] == nil && fields["http"] == nil {
		r.wrong("add command or http", "nothing says what to check")
	}
	return &out
}

// command reads a command: a list, or a line that is split as Compose does.
func (r reader) command(v any) []string {
	if list, ok := v.([]any); ok && slices.ContainsFunc(list, func(e any) bool { _, isText := e.(string); return !isText }) {
		r.wrong("write it as [smoke-test, --quick]", "it must be a list of strings")
		return nil
	}
	var words types.ShellCommand
	if err := words.DecodeMapstructure(v); err != nil || len(words) == 0 {
		r.wrong("write it as [smoke-test, --quick]", "%v is not a command", v)
	}
	return []string(words)
}

// askedPath reads a path that is asked for over HTTP.
func (r reader) askedPath(v any) string {
	path := r.text(v)
	if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, " \r\n") {
		r.wrong("write it as /alive", "%q is not a path", path)
	}
	return path
}
