package compose

import (
	"cmp"
	"maps"
	"slices"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
)

// fileKey names a File of the stack.
type fileKey struct {
	kind rhumb.FileKind
	name string
}

// converter makes the stack of the merged model.
type converter struct {
	in      *input
	lines   *lines
	bad     *problems
	project *types.Project
	keys    []use
	unset   bool // variables were missing, so that values are empty that the user didn't leave empty

	networks map[string]bool // used ones, by key
	volumes  map[string]bool
	used     map[fileKey]bool // configs and secrets
	contents map[fileKey]rhumb.File
	aliases  map[string]map[string]string // by service and alias: who asked for it
	awaited  map[string]bool              // services whose completion others await
	extras   map[string]extras            // x-rhumb by service
	builds   map[string]Context
	notes    []rhumb.Note
}

func newConverter(in *input, v *inspector, m *model) *converter {
	return &converter{
		in: in, lines: v.lines, bad: v.bad, project: m.project, keys: m.used, unset: len(v.bad.errs) > 0,
		networks: map[string]bool{}, volumes: map[string]bool{}, used: map[fileKey]bool{}, contents: map[fileKey]rhumb.File{},
		aliases: map[string]map[string]string{}, awaited: map[string]bool{}, extras: map[string]extras{}, builds: map[string]Context{},
	}
}

// stack converts everything. Mistakes go to c.bad, and the stack is then of no use.
func (c *converter) stack() rhumb.Stack {
	c.prepare()
	s := rhumb.Stack{Name: c.in.name}
	for _, name := range c.project.ServiceNames() {
		svc := c.service(c.project.Services[name])
		jobs := c.hooks(c.project.Services[name], &svc)
		s.Services = append(append(s.Services, svc), jobs...)
	}
	slices.SortFunc(s.Services, func(a, b rhumb.Service) int { return cmp.Compare(a.Name, b.Name) })
	if len(s.Services) == 0 {
		c.bad.add(c.in.files[0].name, "services: there is none to run", c.noServices())
	}
	c.published(s.Services)
	c.routed(s.Services)
	c.certified(s.Services)
	s.Networks = c.stackNetworks()
	s.Volumes = c.stackVolumes()
	for _, f := range c.contents {
		s.Files = append(s.Files, f)
	}
	slices.SortFunc(s.Files, func(a, b rhumb.File) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	c.keyNotes(c.keys)
	slices.SortStableFunc(c.notes, func(a, b rhumb.Note) int { return cmp.Or(comparePlaces(a.At, b.At), cmp.Compare(a.Subject, b.Subject)) })
	s.Notes = c.notes
	return s
}

func (c *converter) noServices() string {
	if len(c.project.DisabledServices) > 0 {
		return "all services have profiles that aren't active: name one with --profile"
	}
	return "write at least one below services:"
}

// prepare gathers what one service says about another.
func (c *converter) prepare() {
	if _, ok := c.project.Networks["default"]; !ok {
		c.defaultNetwork()
	}
	for _, name := range c.project.ServiceNames() {
		s := c.project.Services[name]
		c.extras[name] = c.readExtras(s)
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

// defaultNetwork makes the stack's default network for services that ask for Docker's bridge, if no other service needed it.
func (c *converter) defaultNetwork() {
	for _, s := range c.project.Services {
		if onBridge(s.NetworkMode) {
			if c.project.Networks == nil {
				c.project.Networks = types.Networks{}
			}
			c.project.Networks["default"] = types.NetworkConfig{Name: c.in.name + "_default"}
			return
		}
	}
}

func (c *converter) stackNetworks() []rhumb.Network {
	var list []rhumb.Network
	for _, key := range slices.Sorted(maps.Keys(c.networks)) {
		n := c.project.Networks[key]
		out := rhumb.Network{Key: key, Name: n.Name, External: bool(n.External)}
		if !n.External {
			out.Driver, out.DriverOpts = n.Driver, filled(n.DriverOpts)
			out.Internal, out.Attachable = n.Internal, n.Attachable
			out.IPv6 = n.EnableIPv6 != nil && *n.EnableIPv6
			out.IPAM, out.Labels = c.ipam(key, n.Ipam), filled(n.Labels)
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
		if !v.External {
			out.Driver, out.DriverOpts, out.Labels = v.Driver, filled(v.DriverOpts), filled(v.Labels)
		}
		list = append(list, out)
	}
	return list
}

// filled gives the map, or nil if it is empty, so that saying nothing and saying {} hash alike.
func filled[M ~map[string]string](m M) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return m
}
