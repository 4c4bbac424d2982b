// Package convert turns the merged Compose model into the stack, one noun of the domain after the other. From the
// disk it reads only what becomes part of the stack: configs, secrets, certificates and mounted files.
package convert

import (
	"cmp"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/extension"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
	"rhumb/internal/alertrule"
)

// Model is the Compose library's result, with what is known about the files.
type Model struct {
	Name    string                   // of the stack
	Dir     string                   // the project folder, absolute
	First   string                   // the first Compose file, for people
	Env     map[string]string        // the variables of this machine and of the env files
	Shown   func(path string) string // returns a path for messages
	Project *types.Project
	Keys    []keys.Use      // those that aren't honoured as written
	Lines   *place.Lines    // where everything is said
	Bad     *place.Problems // collects the mistakes
}

// Stack returns the stack of a model, and for each service that is built what the build needs. Mistakes go to m.Bad;
// the stack is then unusable.
func Stack(m Model) (rhumb.Stack, map[string]Context) {
	c := newConverter(m)
	c.check()
	stack := c.stack()
	return stack, c.builds
}

// fileKey identifies a File of the stack.
type fileKey struct {
	kind rhumb.FileKind
	name string
}

// converter converts the merged model.
type converter struct {
	in      Model
	lines   *place.Lines
	bad     *place.Problems
	project *types.Project
	// mistakes were found earlier, so values may be missing or empty that the user has set
	unset bool

	networks map[string]bool // in use, by key
	volumes  map[string]bool
	used     map[fileKey]bool // configs and secrets in use
	contents map[fileKey]rhumb.File
	aliases  map[string]map[string]string // by service and alias: the path that adds the alias
	awaited  map[string]bool              // services whose completion others await
	extras   map[string]extension.Service // x-rhumb, by service
	builds   map[string]Context
	notes    []rhumb.Note
	loose    []string // Stack.Unversioned
}

func newConverter(m Model) *converter {
	return &converter{
		in: m, lines: m.Lines, bad: m.Bad, project: m.Project, unset: m.Bad.Err() != nil,
		networks: map[string]bool{}, volumes: map[string]bool{}, used: map[fileKey]bool{}, contents: map[fileKey]rhumb.File{},
		aliases: map[string]map[string]string{}, awaited: map[string]bool{}, extras: map[string]extension.Service{},
		builds: map[string]Context{},
	}
}

// stack converts everything. Mistakes go to c.bad; the stack is then unusable.
func (c *converter) stack() rhumb.Stack {
	c.prepare()
	x := extension.ReadStack(c.bad, c.in.Name, c.project.Extensions[keys.Extension])
	s := rhumb.Stack{Name: c.in.Name, Logs: x.Logs, Alerts: alertsOf(c, x.Alerts)}
	for _, name := range c.project.ServiceNames() {
		svc := c.service(c.project.Services[name])
		jobs := c.hooks(c.project.Services[name], &svc)
		s.Services = append(append(s.Services, svc), jobs...)
	}
	slices.SortFunc(s.Services, func(a, b rhumb.Service) int { return cmp.Compare(a.Name, b.Name) })
	if len(s.Services) == 0 && (!c.unset || !c.bad.Said("services")) {
		c.bad.Add(cmp.Or(c.lines.Find("services"), place.At(c.in.First, 1)), "services: no service to run", c.noServices())
	}
	c.published(s.Services)
	c.routed(s.Services)
	c.banned(s.Services)
	optioned(c, s.Services)
	c.certified(s.Services)
	s.Networks = c.stackNetworks()
	s.Volumes = c.stackVolumes()
	for _, f := range c.contents {
		s.Files = append(s.Files, f)
	}
	slices.SortFunc(s.Files,
		func(a, b rhumb.File) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	c.keyNotes(c.in.Keys)
	slices.SortStableFunc(c.notes,
		func(a, b rhumb.Note) int { return cmp.Or(place.Compare(a.At, b.At), cmp.Compare(a.Subject, b.Subject)) })
	s.Notes = c.notes
	slices.Sort(c.loose)
	s.Unversioned = c.loose
	return s
}

func (c *converter) noServices() string {
	if len(c.project.DisabledServices) > 0 {
		return "all services have profiles that aren't active: name one with --profile"
	}
	return "write at least one below services:"
}

// prepare collects what services say about each other.
func (c *converter) prepare() {
	if _, ok := c.project.Networks["default"]; !ok {
		c.defaultNetwork()
	}
	for _, name := range c.project.ServiceNames() {
		s := c.project.Services[name]
		c.extras[name] = extension.Read(c.bad, alertrule.Scope{Stack: c.in.Name, Service: name},
			s.Extensions[keys.Extension])
		for other, d := range s.DependsOn {
			if d.Condition == types.ServiceConditionCompletedSuccessfully {
				c.awaited[other] = true
			}
		}
		if s.Deploy != nil && (s.Deploy.Mode == "replicated-job" || s.Deploy.Mode == "global-job") {
			c.awaited[name] = true
		}
		c.linkAliases(s)
	}
}

// defaultNetwork adds the stack's default network for services on Docker's bridge, if no other service has added it.
func (c *converter) defaultNetwork() {
	for _, s := range c.project.Services {
		if onBridge(s.NetworkMode) ||
			slices.ContainsFunc(s.PreStart, func(h types.PreStartHook) bool { return onBridge(h.NetworkMode) }) {
			if c.project.Networks == nil {
				c.project.Networks = types.Networks{}
			}
			c.project.Networks["default"] = types.NetworkConfig{Name: c.in.Name + "_default"}
			return
		}
	}
}

func (c *converter) stackNetworks() []rhumb.Network {
	var list []rhumb.Network
	for _, key := range slices.Sorted(maps.Keys(c.networks)) {
		n := c.project.Networks[key]
		out := rhumb.Network{Key: key, Name: n.Name, External: bool(n.External)}
		c.named("networks."+key, n.Name)
		if !n.External {
			out.Driver, out.DriverOpts = n.Driver, filled(n.DriverOpts)
			out.Internal, out.Attachable = n.Internal, n.Attachable
			out.IPv6 = n.EnableIPv6 != nil && *n.EnableIPv6
			out.IPAM, out.Labels = c.ipam(key, n.Ipam), filled(n.Labels)
			if n.Driver == "overlay" {
				c.asBridge(&out)
			}
		}
		list = append(list, out)
	}
	return list
}

func (c *converter) stackVolumes() []rhumb.Volume {
	var list []rhumb.Volume
	for _, key := range slices.Sorted(maps.Keys(c.volumes)) {
		v := c.project.Volumes[key]
		out := rhumb.Volume{Key: key, Name: v.Name, External: bool(v.External)}
		c.named("volumes."+key, v.Name)
		if !v.External {
			out.Driver, out.DriverOpts, out.Labels = v.Driver, filled(v.DriverOpts), filled(v.Labels)
		}
		list = append(list, out)
	}
	return list
}

// named reports an empty name, such as one from an unset variable.
func (c *converter) named(path, name string) {
	if name == "" && c.lines.Has(path+".name") {
		c.bad.At(path+".name", "write the name, or leave the key out", "it is empty")
	}
}

// filled returns the map, or nil if it is empty, so that {} and no value have the same hash.
func filled[M ~map[string]string](m M) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}
