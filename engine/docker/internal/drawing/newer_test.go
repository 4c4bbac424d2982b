package drawing

import (
	"testing"

	"rhumb"
)

func TestWhatOnlyNewerEnginesDoIsDrawnForThem(t *testing.T) {
	c := rhumb.Container{Image: "i",
		Mounts: []rhumb.Mount{
			{Type: rhumb.MountImage, Source: "tools:1", ImageID: "sha256:1", Target: "/i", Subpath: "bin"},
			{Type: rhumb.MountBind, Source: "/a", Target: "/a", ReadOnly: true, Recursive: "readonly"},
		},
		Networks: []rhumb.Attachment{{Network: "m", Priority: 9, MAC: "02:00:00:00:00:01"},
			{Network: "n", GatewayPriority: 7, InterfaceName: "inner0", MAC: "02:00:00:00:00:02"}},
		Devices: []rhumb.Device{{Source: "vendor.com/gpu=0"}, {Source: "/dev/a"}},
	}
	s := &rhumb.ReplicaSpec{Stack: "shop", Service: "web", Container: c,
		Beside: []rhumb.Attachment{{Network: "old", Priority: -1 << 20}}}
	p, err := Draw(s, Facts{API: newest})
	if err != nil {
		t.Fatal(err)
	}
	h, joined := p.Create.HostConfig, p.Create.NetworkingConfig.EndpointsConfig
	m, n := joined["m"], joined["n"]
	if i := h.Mounts[0]; i.Type != "image" || i.Source != "sha256:1" || i.ImageOptions.Subpath != "bin" {
		t.Errorf("the image: %+v", i)
	}
	if o := h.Mounts[1].BindOptions; !o.ReadOnlyForceRecursive || o.Propagation != "rprivate" {
		t.Errorf("the folder: %+v", o)
	}
	if m.GwPriority != 0 || n.GwPriority != 7 || p.Further[0].Endpoint.GwPriority >= 0 ||
		n.DriverOpts[interfaceOption] != "inner0" {
		t.Errorf("the networks: %+v, %+v, %+v", m, n, p.Further)
	}
	if len(m.MacAddress) == 0 || len(n.MacAddress) == 0 {
		t.Errorf("MAC addresses: %v, %v", m.MacAddress, n.MacAddress)
	}
	if r := h.DeviceRequests; len(r) != 1 || r[0].Driver != "cdi" || len(h.Devices) != 1 {
		t.Errorf("devices: %+v, %+v", r, h.Devices)
	}
}
