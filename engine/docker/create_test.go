package docker_test

import (
	"strings"
	"testing"

	"rhumb"
)

func TestAReplicaHasTheMacAddressThatItAsksFor(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	if err := e.EnsureNetwork(t.Context(), stack, rhumb.Network{Name: stack + "_n"}); err != nil {
		t.Fatal(err)
	}
	s := spec(t, stack, "web", 1, "cat", "/sys/class/net/eth0/address")
	s.Container.NetworkMode, s.Container.Networks = "", []rhumb.Attachment{{Network: stack + "_n"}}
	s.Container.MacAddress, s.Container.Platform = "02:42:0a:00:00:99", "linux/amd64"
	r := start(t, e, s)
	exited(t, e, stack)
	if got := lines(t, e, r.ID); len(got) != 1 || got[0] != "02:42:0a:00:00:99" {
		t.Errorf("seen inside: %q", got)
	}
	s.Slot, s.Container.ImageID = 2, "sha256:"+strings.Repeat("0", 64)
	if _, err := e.Start(t.Context(), s); rhumb.ErrorCode(err) != rhumb.Invalid ||
		!strings.Contains(err.Error(), "the engine has no image") {
		t.Errorf("an image that isn't there: %v", err)
	}
}

func TestStartReturnsTheEnginesWarnings(t *testing.T) {
	e := need(t)
	s := spec(t, stackName(t), "web", 1)
	s.Container.NetworkMode = "host"
	// which the engine leaves out there
	s.Container.HostPorts = []rhumb.Port{{Published: 39188, Target: 80, Protocol: rhumb.TCP}}
	if r := start(t, e, s); len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], "ports are discarded") {
		t.Errorf("warnings: %q", r.Warnings)
	}
	if r := start(t, e, s); len(r.Warnings) != 0 {
		t.Errorf("of one that is there: %q", r.Warnings)
	}
}
