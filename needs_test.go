package rhumb

import (
	"strings"
	"testing"
)

func TestWhatAnEngineIsTooOldForIsNamedWithItsService(t *testing.T) {
	mask := uint32(0o22)
	m := &Stack{Services: []Service{
		{Name: "old", Container: Container{Mounts: []Mount{{Type: MountVolume, Target: "/v"}},
			Devices: []Device{{Source: "/dev/a=b"}}}},
		{Name: "web", Container: Container{Annotations: map[string]string{"a": "b"}, Umask: &mask},
			PreStart: []PreStart{{Number: 1, Container: Container{Mounts: []Mount{{Type: MountImage, Target: "/i"}}}}}},
		{Name: "nets", Container: Container{Networks: []Attachment{{Network: "a", InterfaceName: "x0"},
			{Network: "b", MAC: "02:42:ac:11:00:02"}}}},
		{Name: "made", Build: &Build{ShmSize: 1}, Container: Container{Devices: []Device{{Source: "vendor.com/gpu=0"}}}},
	}}
	for _, c := range []struct {
		api  string
		want []string
	}{
		{"1.41", []string{"service web: annotations needs Docker Engine 24 or newer; this server has 20.10.24",
			"service web: umask", "service web.pre_start.1: a volume of type image",
			"service nets: mac_address of a further network", "service nets: interface_name", "service made: a CDI device",
			"service made: build.shm_size"}},
		{"1.44", []string{"service web: umask", "service web.pre_start.1: a volume of type image",
			"service nets: interface_name"}},
		{"1.55", []string{"service web: umask needs Docker Engine 29.8"}},
		{"1.56", nil},
		{"2.0", nil},
		{"unknown", nil},
	} {
		got := EngineInfo{Version: "20.10.24", APIVersion: c.api}.Unmet(m)
		if len(got) != len(c.want) {
			t.Errorf("API %s: %v", c.api, got)
			continue
		}
		for i, e := range got {
			if !strings.HasPrefix(e.Msg, c.want[i]) || e.Code != Unsupported || e.Hint == "" {
				t.Errorf("API %s: %q, want %q", c.api, e.Msg, c.want[i])
			}
		}
	}
}

func TestOnOldEnginesOnlyTheFirstNetworkHasAMACAddress(t *testing.T) {
	old := EngineInfo{APIVersion: "1.41"}
	for _, c := range []struct {
		networks []Attachment
		unmet    int
	}{
		{[]Attachment{{Network: "a", MAC: "02:42:ac:11:00:02"}, {Network: "b"}}, 0},
		{[]Attachment{{Network: "a"}, {Network: "b", MAC: "02:42:ac:11:00:02"}}, 1},
		{[]Attachment{{Network: "a", MAC: "02:42:ac:11:00:02"}, {Network: "b", Priority: 5}}, 1},
		{[]Attachment{{Network: "a"}, {Network: "b", Priority: 5, MAC: "02:42:ac:11:00:02"}}, 0},
	} {
		if got := old.UnmetByContainer("web", &Container{Networks: c.networks}); len(got) != c.unmet {
			t.Errorf("%+v: %v", c.networks, got)
		}
	}
}

func TestAContainerWithoutNewKeysRunsOnEveryEngine(t *testing.T) {
	old := EngineInfo{APIVersion: "1.40"}
	c := Container{Networks: []Attachment{{Network: "a", Priority: 1, MAC: "02:42:ac:11:00:03"}, {Network: "b"}},
		MacAddress: "02:42:ac:11:00:02", Mounts: []Mount{{Type: MountBind, Recursive: "disabled"}},
		Health: &Healthcheck{StartInterval: 1}}
	if got := old.UnmetByContainer("web", &c); got != nil {
		t.Error(got)
	}
}
