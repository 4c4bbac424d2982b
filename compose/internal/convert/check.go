package convert

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/place"
)

// check reports names without a definition, and impossible services.
func (c *converter) check() {
	for _, name := range c.project.ServiceNames() {
		s := c.project.Services[name]
		path := "services." + name
		if s.Build == nil && s.Image == "" && s.Provider == nil && (!c.unset || !c.bad.Said(path+".image")) {
			c.bad.At(path, "add image or build", "it has neither image nor build")
		}
		if of, n, ok := rhumb.HookOf(name); ok {
			c.bad.At(path, "choose another name", "the name belongs to pre_start hook %d of %s", n, of)
		}
		if s.Scale != nil && s.Deploy != nil && s.Deploy.Replicas != nil && *s.Scale != *s.Deploy.Replicas {
			c.bad.At(path+".scale", "keep one of them", "deploy.replicas is %d", *s.Deploy.Replicas)
		}
		c.checkContainer(s.ContainerSpec, types.ContainerSpec{}, path)
		c.checkServices(s, path)
		for i, h := range s.PreStart {
			c.checkHook(h.ContainerSpec, s.ContainerSpec, fmt.Sprintf("%s.pre_start[%d]", path, i))
		}
	}
	c.checkCycles()
}

// checkContainer checks the names that a container uses. A hook's lists begin with those of its service, which are
// checked there.
func (c *converter) checkContainer(s, inherited types.ContainerSpec, path string) {
	for _, n := range slices.Sorted(maps.Keys(s.Networks)) {
		if _, ok := inherited.Networks[n]; ok {
			continue
		}
		refer(c, path+".networks."+n, "network", n, c.project.Networks)
		if s.NetworkMode != inherited.NetworkMode {
			c.bad.At(path+".network_mode", "keep one of them", "networks is set too")
		}
	}
	for i, v := range s.Volumes { // a hook inherits none
		if v.Type == types.VolumeTypeVolume && v.Source != "" {
			refer(c, fmt.Sprintf("%s.volumes[%d]", path, i), "volume", v.Source, c.project.Volumes)
		}
	}
	for i, f := range own(s.Configs, inherited.Configs) {
		refer(c, fmt.Sprintf("%s.configs[%d]", path, i), "config", f.Source, c.project.Configs)
	}
	for i, f := range own(s.Secrets, inherited.Secrets) {
		refer(c, fmt.Sprintf("%s.secrets[%d]", path, i), "secret", f.Source, c.project.Secrets)
	}
	mode, _, shared := strings.Cut(s.NetworkMode, ":")
	switch {
	case s.NetworkMode == "" || s.NetworkMode == inherited.NetworkMode:
	case shared && mode != "service" && mode != "container",
		joins(s.NetworkMode) && !networkName.MatchString(s.NetworkMode):
		c.bad.At(path+".network_mode", "write host, none, service:NAME, container:NAME, or a network's name",
			"unknown mode %q", s.NetworkMode)
	case joins(s.NetworkMode) && !onBridge(s.NetworkMode):
		_, declared := c.network(s.NetworkMode)
		if word := place.Closest(s.NetworkMode, []string{"bridge", "default"}); word != "" && !declared {
			c.bad.At(path+".network_mode", "did you mean "+word+"? a network of that name is declared below networks:, "+
				"with external: true",
				"there is no mode or network %q", s.NetworkMode)
		}
	}
}

// networkName matches the engine's names of networks.
var networkName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`)

// own returns a list without its inherited beginning.
func own[T any](list, inherited []T) []T { return list[min(len(inherited), len(list)):] }

// checkHook checks the names that a pre_start hook uses and its service doesn't. The library checks only services.
func (c *converter) checkHook(h, of types.ContainerSpec, path string) {
	c.checkContainer(h, of, path)
	for key, modes := range map[string][2]string{"network_mode": {h.NetworkMode, of.NetworkMode}, "pid": {h.Pid, of.Pid},
		"ipc": {h.Ipc, of.Ipc}} {
		if other, ok := strings.CutPrefix(modes[0], types.ServicePrefix); ok && modes[0] != modes[1] {
			c.referService(path+"."+key, other)
		}
	}
	for i, v := range own(h.VolumesFrom, of.VolumesFrom) {
		if other, _, _ := strings.Cut(v, ":"); !strings.HasPrefix(v, types.ContainerPrefix) {
			c.referService(fmt.Sprintf("%s.volumes_from[%d]", path, i), other)
		}
	}
}

// checkServices checks the services that a service and its build name.
func (c *converter) checkServices(s types.ServiceConfig, path string) {
	if s.Build != nil {
		for i, f := range s.Build.Secrets {
			refer(c, fmt.Sprintf("%s.build.secrets[%d]", path, i), "secret", f.Source, c.project.Secrets)
		}
	}
	for _, other := range slices.Sorted(maps.Keys(s.DependsOn)) {
		c.checkCondition(path+".depends_on."+other, s.DependsOn[other].Condition)
		at := path + ".depends_on." + other
		if !c.lines.Has(at) {
			at = c.dependencyPlace(s, path, other)
		}
		if _, inactive := c.project.DisabledServices[other]; inactive && !s.DependsOn[other].Required {
			continue
		}
		c.referService(at, other)
	}
}

// dependencyPlace returns the path where a service names another: in depends_on, or where the dependency is implied.
func (c *converter) dependencyPlace(s types.ServiceConfig, path, other string) string {
	for i, link := range s.Links {
		if link == other || strings.HasPrefix(link, other+":") {
			return fmt.Sprintf("%s.links[%d]", path, i)
		}
	}
	for key, value := range map[string]string{"network_mode": s.NetworkMode, "pid": s.Pid, "ipc": s.Ipc} {
		if value == types.ServicePrefix+other {
			return path + "." + key
		}
	}
	if c.lines.Has(path+".depends_on") || len(s.VolumesFrom) == 0 {
		return path + ".depends_on"
	}
	return path + ".volumes_from"
}

// refer reports a name that isn't among the known ones.
func refer[V any](c *converter, at, what, name string, known map[string]V) {
	if _, ok := known[name]; ok || c.bad.Said(what+"s."+name) {
		return
	}
	hint := place.DidYouMean(name, slices.Collect(maps.Keys(known)))
	if hint == "" {
		hint = fmt.Sprintf("add it below %ss: at the top level", what)
	}
	c.bad.At(at, hint, "there is no %s %s", what, name)
}

func (c *converter) referService(at, name string) {
	if _, inactive := c.project.DisabledServices[name]; inactive {
		c.bad.At(at, "name the profile with --profile, or set required: false", "service %s has a profile that isn't active",
			name)
		return
	}
	if _, ok := c.project.Services[name]; !ok && !c.bad.Said("services."+name) {
		c.bad.At(at, place.DidYouMean(name, c.project.ServiceNames()), "there is no service %s", name)
	}
}

// checkCondition checks a condition of depends_on.
func (c *converter) checkCondition(path, condition string) {
	switch condition {
	case "", types.ServiceConditionStarted, types.ServiceConditionHealthy, types.ServiceConditionCompletedSuccessfully:
	default:
		c.bad.At(path+".condition", "choose service_started, service_healthy or service_completed_successfully",
			"unknown condition %q", condition)
	}
}

// checkCycles reports dependency cycles, each once.
func (c *converter) checkCycles() {
	const open, done = 1, 2
	state := map[string]int{}
	var trail []string
	var visit func(name string)
	visit = func(name string) {
		state[name] = open
		trail = append(trail, name)
		for _, next := range slices.Sorted(maps.Keys(c.project.Services[name].DependsOn)) {
			switch state[next] {
			case open:
				circle := append(slices.Clone(trail[slices.Index(trail, next):]), next)
				c.bad.At("services."+name+".depends_on", "leave one of them out", "services depend on each other: %s",
					strings.Join(circle, " -> "))
			case done:
			default:
				visit(next)
			}
		}
		trail = trail[:len(trail)-1]
		state[name] = done
	}
	for _, name := range c.project.ServiceNames() {
		if state[name] == 0 {
			visit(name)
		}
	}
}
