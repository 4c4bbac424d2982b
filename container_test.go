package rhumb

import (
	"encoding/json"
	"testing"
)

func TestTheSameImageUnderAnotherNameIsNoChange(t *testing.T) {
	a := Container{Image: "web:1", ImageID: "sha256:1"}
	b := Container{Image: "web:2", ImageID: "sha256:1"}
	if a.Hash() != b.Hash() {
		t.Error("the hashes differ")
	}
	b.ImageID = "sha256:2"
	if a.Hash() == b.Hash() {
		t.Error("another image has the same hash")
	}
}

func TestZeroFieldsLeaveTheHashAsItIs(t *testing.T) {
	b, err := json.Marshal(&Container{})
	if err != nil || string(b) != "{}" {
		t.Errorf("a new field without omitzero changes every hash: %s, %v", b, err)
	}
}

// Running replicas carry these hashes. A changed hash replaces every replica of the spec.
func TestHashesOfSpecsStayAsTheyAre(t *testing.T) {
	yes, swap := true, int64(10)
	for want, c := range map[string]Container{
		"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a": {},
		"0fb87efb5647e799869e54974b6e9f4eb9a1531fd469d2741a9dfb2ab27636b1": {
			Image: "nginx", ImageID: "sha256:1", Env: map[string]string{"A": "1", "B": "2"}, Command: []string{"a"},
			Mounts: []Mount{{Type: MountVolume, Source: "s_v", Target: "/v", Subpath: "x"},
				{Type: MountBind, Source: "/a", Target: "/a", Create: true}},
			Networks: []Attachment{{Network: "s_default", Aliases: []string{"web"}, Priority: 3}}, Init: &yes,
			Resources: Resources{Memory: 1 << 20, MemorySwappiness: &swap}},
		"849ff5e0391176b7a9f9467b5b1633eaa24c52ba6a3bd2d75b74b8af7af13344": {
			Image: "nginx", Annotations: map[string]string{"a": "b"}, MacAddress: "02:42:ac:11:00:02", StopGrace: 1,
			Devices: []Device{{Source: "/dev/a"}}, Health: &Healthcheck{Test: []string{"CMD", "x"}, StartInterval: 2},
			Entrypoint: []string{}, Ulimits: []Ulimit{{Name: "nofile", Soft: 1, Hard: 2}}},
	} {
		if got := c.Hash(); got != want {
			t.Errorf("%+v: hash %s, want %s", c, got, want)
		}
	}
}

func TestAStartIntervalReplacesNoReplica(t *testing.T) {
	c := Container{Image: "nginx", Health: &Healthcheck{Test: []string{"CMD", "x"}}}
	without := c.Hash()
	c.Health.StartInterval = 2
	if with := c.Hash(); with != without || c.Health.StartInterval != 2 {
		t.Errorf("hash %s with a start interval, %s without; it is now %v", with, without, c.Health.StartInterval)
	}
	c.Health.Interval = 2
	if c.Hash() == without {
		t.Error("another interval leaves the hash as it is")
	}
}
