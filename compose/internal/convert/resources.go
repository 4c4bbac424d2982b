package convert

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/types"

	"rhumb"
	"rhumb/compose/internal/diskfile"
)

// resources converts limits. deploy.resources takes precedence over the older keys.
func (c *converter) resources(s types.ServiceConfig) rhumb.Resources {
	out := rhumb.Resources{
		NanoCPUs: nano(s.CPUS), CPUShares: s.CPUShares, CPUPeriod: s.CPUPeriod, CPUQuota: s.CPUQuota,
		CPURTPeriod: s.CPURTPeriod, CPURTRuntime: s.CPURTRuntime, CPUSet: s.CPUSet,
		Memory: int64(s.MemLimit), MemoryReservation: int64(s.MemReservation), MemorySwap: int64(s.MemSwapLimit),
		OOMKillDisable: s.OomKillDisable, OOMScoreAdj: int(s.OomScoreAdj), PidsLimit: s.PidsLimit, ShmSize: int64(s.ShmSize),
		Blkio: blkio(s.BlkioConfig), GPUs: asGPUs(c.gpus(s, s.Gpus, "gpus")),
	}
	path := "services." + s.Name
	if c.lines.Has(path + ".mem_swappiness") {
		v := int64(s.MemSwappiness)
		out.MemorySwappiness = &v
	}
	if s.Deploy == nil {
		return out
	}
	path += ".deploy.resources"
	if l := s.Deploy.Resources.Limits; l != nil {
		override(c, path+".limits.cpus", &out.NanoCPUs, nano(l.NanoCPUs.Value()), "cpus")
		override(c, path+".limits.memory", &out.Memory, int64(l.MemoryBytes), "mem_limit")
		override(c, path+".limits.pids", &out.PidsLimit, l.Pids, "pids_limit")
	}
	if r := s.Deploy.Resources.Reservations; r != nil {
		override(c, path+".reservations.memory", &out.MemoryReservation, int64(r.MemoryBytes), "mem_reservation")
		out.GPUs = append(out.GPUs, c.gpus(s, r.Devices, "deploy.resources.reservations.devices")...)
	}
	return out
}

// override sets v. If the older key has another value, that is a mistake, except in a hook, whose own values take
// precedence over its service's deploy.
func override(c *converter, path string, at *int64, v int64, older string) {
	if v == 0 {
		return
	}
	if *at != 0 && *at != v {
		if !c.lines.Has(path) {
			return
		}
		c.bad.At(path, "keep one of them", "it differs from %s", older)
	}
	*at = v
}

// nano returns billionths of a CPU. It converts through decimals, so that 0.1 doesn't become 0.100000001.
func nano(cpus float32) int64 {
	f, _ := strconv.ParseFloat(strconv.FormatFloat(float64(cpus), 'g', -1, 32), 64)
	return int64(math.Round(f * 1e9))
}

func (c *converter) gpus(s types.ServiceConfig, requests []types.DeviceRequest, key string) []rhumb.GPU {
	var list []rhumb.GPU
	for i, r := range requests {
		if r.Count != 0 && len(r.IDs) > 0 {
			c.bad.At(fmt.Sprintf("services.%s.%s[%d]", s.Name, key, i), "keep one of them",
				"count and device_ids can't be combined")
		}
		count := int(r.Count)
		if count == 0 && len(r.IDs) == 0 {
			count = -1 // the default is all
		}
		list = append(list, rhumb.GPU{Driver: r.Driver, Count: count, IDs: r.IDs, Capabilities: r.Capabilities,
			Options: filled(r.Options)})
	}
	return list
}

// asGPUs adds the capability that makes a device request one for GPUs; the key gpus implies it.
func asGPUs(list []rhumb.GPU) []rhumb.GPU {
	for i, g := range list {
		if !slices.Contains(g.Capabilities, "gpu") {
			list[i].Capabilities = append(slices.Clone(g.Capabilities), "gpu")
		}
	}
	return list
}

func blkio(b *types.BlkioConfig) *rhumb.Blkio {
	if b == nil {
		return nil
	}
	out := &rhumb.Blkio{Weight: b.Weight}
	for _, w := range b.WeightDevice {
		out.WeightDevice = append(out.WeightDevice, rhumb.DeviceRate{Path: w.Path, Rate: uint64(w.Weight)})
	}
	out.DeviceReadBps, out.DeviceReadIOps = rates(b.DeviceReadBps), rates(b.DeviceReadIOps)
	out.DeviceWriteBps, out.DeviceWriteIOps = rates(b.DeviceWriteBps), rates(b.DeviceWriteIOps)
	return out
}

func rates(devices []types.ThrottleDevice) []rhumb.DeviceRate {
	var list []rhumb.DeviceRate
	for _, d := range devices {
		list = append(list, rhumb.DeviceRate{Path: d.Path, Rate: uint64(max(d.Rate, 0))})
	}
	return list
}

func ulimits(m map[string]*types.UlimitsConfig) []rhumb.Ulimit {
	var list []rhumb.Ulimit
	for _, name := range slices.Sorted(maps.Keys(m)) {
		u := m[name]
		switch {
		case u == nil:
		case u.Soft == 0 && u.Hard == 0:
			list = append(list, rhumb.Ulimit{Name: name, Soft: int64(u.Single), Hard: int64(u.Single)})
		default:
			list = append(list, rhumb.Ulimit{Name: name, Soft: int64(u.Soft), Hard: int64(u.Hard)})
		}
	}
	return list
}

func notADevice(source string) string {
	if source == "" {
		return "the device's path is empty"
	}
	return fmt.Sprintf("%q is not the path of a device", source)
}

func (c *converter) devices(s types.ServiceConfig) []rhumb.Device {
	var list []rhumb.Device
	for i, d := range s.Devices {
		if !strings.HasPrefix(d.Source, "/") && !(rhumb.Device{Source: d.Source}).CDI() {
			c.bad.At(fmt.Sprintf("services.%s.devices[%d]", s.Name, i), "name a device file, such as /dev/ttyUSB0", "%s",
				notADevice(d.Source))
		}
		list = append(list, rhumb.Device{Source: d.Source, Target: d.Target, Permissions: d.Permissions})
	}
	return list
}

// logging returns the log driver. json-file rotates, unless the user sets its options.
func logging(l *types.LoggingConfig) rhumb.Logging {
	out := rhumb.Logging{Driver: "json-file"}
	if l != nil {
		if l.Driver != "" {
			out.Driver = l.Driver
		}
		out.Options = maps.Clone(filled(l.Options))
	}
	_, sized := out.Options["max-size"]
	_, counted := out.Options["max-file"]
	if out.Driver == "json-file" && !sized && !counted {
		if out.Options == nil {
			out.Options = map[string]string{}
		}
		out.Options["max-size"], out.Options["max-file"] = "10m", "3"
	}
	return out
}

// security returns the security options in the engine's syntax: with "=", and with a seccomp profile's content
// instead of its path.
func (c *converter) security(s types.ServiceConfig) []string {
	var list []string
	for i, opt := range s.SecurityOpt {
		name, value, ok := strings.Cut(opt, "=")
		if !ok {
			name, value, ok = strings.Cut(opt, ":")
		}
		if !ok {
			list = append(list, opt)
			continue
		}
		if name == "seccomp" && value != "unconfined" && value != "builtin" {
			value = c.seccomp(fmt.Sprintf("services.%s.security_opt[%d]", s.Name, i), value)
		}
		list = append(list, name+"="+value)
	}
	return list
}

func (c *converter) seccomp(path, file string) string {
	file = c.pathOf(file)
	b, err := diskfile.Read(file, c.in.Shown(file), diskfile.MaxSnapshot)
	if err != nil {
		c.bad.At(path, "name a file beside the Compose file, or write unconfined", "%s", err)
		return ""
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, b); err != nil {
		c.bad.At(path, "a profile is a JSON file", "%s: the profile is not JSON: %s", c.in.Shown(file), err)
	}
	return compact.String()
}
