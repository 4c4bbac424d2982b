package rhumb

import (
	"slices"
	"strconv"
	"strings"
)

// Need is a part of a Compose file that only newer engines support. All needs are in one list. The table of keys, the
// checks of a server and the requests to an engine follow this list.
type Need struct {
	Key    string // path in the specification: "services.*.umask"; PATH=VALUE: only that value; "": no key of its own
	What   string // in messages: "annotations", "a volume of type image"
	API    string // the oldest version of Docker's API that has it
	Engine string // the oldest Docker Engine that speaks that version

	container func(*Container) bool // reports whether a container uses it; nil: none does
	build     func(*Build) bool     // reports whether a build uses it; nil: none does
}

var needs = []Need{
	{Key: "services.*.annotations", What: "annotations", API: "1.43", Engine: "24",
		container: func(c *Container) bool { return len(c.Annotations) > 0 }},
	{Key: "services.*.umask", What: "umask", API: "1.56", Engine: "29.8",
		container: func(c *Container) bool { return c.Umask != nil }},
	{What: "a CDI device", API: "1.44", Engine: "25",
		container: func(c *Container) bool { return slices.ContainsFunc(c.Devices, Device.CDI) }},
	{Key: "services.*.networks.*.mac_address", What: "mac_address of a further network", API: "1.44", Engine: "25",
		container: func(c *Container) bool { // older engines have one address for a container: its first network gets it
			as := c.NetworksByPriority()
			return len(as) > 1 && slices.ContainsFunc(as[1:], func(a Attachment) bool { return a.MAC != "" })
		}},
	{Key: "services.*.networks.*.interface_name", What: "interface_name", API: "1.48", Engine: "28",
		container: func(c *Container) bool {
			return attached(c, func(a Attachment) bool { return a.InterfaceName != "" })
		}},
	{Key: "services.*.networks.*.gw_priority", What: "gw_priority", API: "1.48", Engine: "28",
		container: func(c *Container) bool {
			return attached(c, func(a Attachment) bool { return a.GatewayPriority != 0 })
		}},
	{Key: "services.*.volumes[].type=image", What: "a volume of type image", API: "1.48", Engine: "28",
		container: func(c *Container) bool {
			return mounted(c, func(m Mount) bool { return m.Type == MountImage })
		}},
	{Key: "services.*.volumes[].bind.recursive=readonly", What: "a bind mount with recursive: readonly",
		API: "1.44", Engine: "25",
		container: func(c *Container) bool {
			return mounted(c, func(m Mount) bool { return m.Recursive == "readonly" })
		}},
	{Key: "services.*.volumes[].volume.subpath", What: "a volume's subpath", API: "1.45", Engine: "26",
		container: func(c *Container) bool {
			return mounted(c, func(m Mount) bool { return m.Type == MountVolume && m.Subpath != "" })
		}},
	{Key: "services.*.build.ulimits", What: "build.ulimits", API: "1.42", Engine: "23",
		build: func(b *Build) bool { return len(b.Ulimits) > 0 }},
	{Key: "services.*.build.shm_size", What: "build.shm_size", API: "1.42", Engine: "23",
		build: func(b *Build) bool { return b.ShmSize > 0 }},
}

func attached(c *Container, is func(Attachment) bool) bool {
	return slices.ContainsFunc(c.Networks, is)
}

func mounted(c *Container, is func(Mount) bool) bool { return slices.ContainsFunc(c.Mounts, is) }

// CDI reports whether the device is a device of the Container Device Interface. It has a name ("vendor.com/gpu=0")
// instead of a path.
func (d Device) CDI() bool {
	return !strings.HasPrefix(d.Source, "/") && strings.Contains(d.Source, "=")
}

// Speaks reports whether the engine's API has at least a version, such as "1.44". An engine that doesn't report its
// version speaks every version.
func (e EngineInfo) Speaks(version string) bool {
	major, minor, ok := apiVersion(e.APIVersion)
	wantMajor, wantMinor, _ := apiVersion(version)
	return !ok || major > wantMajor || major == wantMajor && minor >= wantMinor
}

func apiVersion(s string) (major, minor int, ok bool) {
	a, b, _ := strings.Cut(s, ".")
	major, err := strconv.Atoi(a)
	if err != nil {
		return 0, 0, false
	}
	minor, err = strconv.Atoi(b)
	return major, minor, err == nil
}

// Unmet returns an Unsupported error for each thing that a service of the stack needs and the engine is too old for.
func (e EngineInfo) Unmet(m *Stack) Errors {
	var errs Errors
	for i := range m.Services {
		s := &m.Services[i]
		errs = append(errs, e.UnmetByContainer(s.Name, &s.Container)...)
		for j := range s.PreStart {
			errs = append(errs, e.UnmetByContainer(HookService(s.Name, s.PreStart[j].Number), &s.PreStart[j].Container)...)
		}
		if s.Build != nil {
			errs = append(errs, e.UnmetByBuild(s.Name, s.Build)...)
		}
	}
	return errs
}

// UnmetByContainer is Unmet for one container of a service.
func (e EngineInfo) UnmetByContainer(service string, c *Container) Errors {
	return e.unmet(service, func(n *Need) bool { return n.container != nil && n.container(c) })
}

// UnmetByBuild is Unmet for the build of a service's image.
func (e EngineInfo) UnmetByBuild(service string, b *Build) Errors {
	return e.unmet(service, func(n *Need) bool { return n.build != nil && n.build(b) })
}

func (e EngineInfo) unmet(service string, uses func(*Need) bool) Errors {
	var errs Errors
	for i := range needs {
		n := &needs[i]
		if e.Speaks(n.API) || !uses(n) {
			continue
		}
		has := "API " + e.APIVersion
		if e.Version != "" {
			has = e.Version
		}
		errs = append(errs, Errorf(Unsupported, "service %s: %s needs Docker Engine %s or newer; this server has %s",
			service, n.What, n.Engine, has).
			WithHint("leave it out, or upgrade the server's Docker Engine"))
	}
	return errs
}

// NeedOf returns the need of a key, or of one of its values: "services.*.volumes[].type" and "image". The path is
// written as in the specification. NeedOf returns nil if every engine supports it.
func NeedOf(path, value string) *Need {
	if value != "" {
		path += "=" + value
	}
	i := slices.IndexFunc(needs, func(n Need) bool { return n.Key == path })
	if i < 0 {
		return nil
	}
	return &needs[i]
}
