package drawing

import (
	"math"

	"github.com/moby/moby/api/types/blkiodev"
	"github.com/moby/moby/api/types/container"

	"rhumb"
)

// resources maps limits, devices, and what else the API keeps with them.
func (d *drawing) resources() container.Resources {
	r := &d.c.Resources
	res := container.Resources{
		NanoCPUs: r.NanoCPUs, CPUShares: r.CPUShares, CPUPeriod: r.CPUPeriod, CPUQuota: r.CPUQuota,
		CPURealtimePeriod: r.CPURTPeriod, CPURealtimeRuntime: r.CPURTRuntime, CpusetCpus: r.CPUSet,
		CPUCount: r.CPUCount, CPUPercent: r.CPUPercent, Memory: r.Memory, MemoryReservation: r.MemoryReservation,
		MemorySwap: r.MemorySwap, MemorySwappiness: r.MemorySwappiness, CgroupParent: d.c.CgroupParent,
		DeviceCgroupRules: d.c.DeviceCgroupRules,
	}
	if r.OOMKillDisable {
		res.OomKillDisable = &r.OOMKillDisable
	}
	if r.PidsLimit != 0 {
		res.PidsLimit = &r.PidsLimit
	}
	for _, u := range d.c.Ulimits {
		res.Ulimits = append(res.Ulimits, &container.Ulimit{Name: u.Name, Soft: u.Soft, Hard: u.Hard})
	}
	var cdi []string
	for _, v := range d.c.Devices {
		if v.CDI() {
			cdi = append(cdi, v.Source)
			continue
		}
		res.Devices = append(res.Devices, device(v))
	}
	if len(cdi) > 0 {
		res.DeviceRequests = append(res.DeviceRequests, container.DeviceRequest{Driver: "cdi", DeviceIDs: cdi})
	}
	for _, g := range r.GPUs {
		res.DeviceRequests = append(res.DeviceRequests, gpu(g))
	}
	if r.Blkio != nil {
		d.blkio(r.Blkio, &res)
	}
	return res
}

// device maps a device; a missing target is the source, and missing permissions are all.
func device(v rhumb.Device) container.DeviceMapping {
	m := container.DeviceMapping{PathOnHost: v.Source, PathInContainer: v.Target, CgroupPermissions: v.Permissions}
	if m.PathInContainer == "" {
		m.PathInContainer = v.Source
	}
	if m.CgroupPermissions == "" {
		m.CgroupPermissions = "rwm"
	}
	return m
}

// gpu maps a device request.
func gpu(g rhumb.GPU) container.DeviceRequest {
	r := container.DeviceRequest{Driver: g.Driver, Count: g.Count, DeviceIDs: g.IDs, Options: g.Options}
	if len(g.Capabilities) > 0 {
		r.Capabilities = [][]string{g.Capabilities}
	}
	return r
}

// blkio maps the limits of block devices.
func (d *drawing) blkio(b *rhumb.Blkio, res *container.Resources) {
	res.BlkioWeight = b.Weight
	for _, w := range b.WeightDevice {
		if w.Rate > math.MaxUint16 {
			d.invalid("blkio weight %d of %s is out of range", w.Rate, w.Path)
			continue
		}
		res.BlkioWeightDevice = append(res.BlkioWeightDevice, &blkiodev.WeightDevice{Path: w.Path, Weight: uint16(w.Rate)})
	}
	res.BlkioDeviceReadBps = throttles(b.DeviceReadBps)
	res.BlkioDeviceWriteBps = throttles(b.DeviceWriteBps)
	res.BlkioDeviceReadIOps = throttles(b.DeviceReadIOps)
	res.BlkioDeviceWriteIOps = throttles(b.DeviceWriteIOps)
}

func throttles(rates []rhumb.DeviceRate) []*blkiodev.ThrottleDevice {
	var ts []*blkiodev.ThrottleDevice
	for _, r := range rates {
		ts = append(ts, &blkiodev.ThrottleDevice{Path: r.Path, Rate: r.Rate})
	}
	return ts
}
