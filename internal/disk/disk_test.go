package disk_test

import (
	"testing"

	"rhumb/internal/disk"
)

func TestUsageIsRoundedUp(t *testing.T) {
	for _, c := range []struct {
		u            disk.Usage
		space, nodes int
	}{
		{disk.Usage{}, 0, 0},
		{disk.Usage{Used: 1, Usable: 1000, Inodes: 100, Free: 100}, 1, 0},
		{disk.Usage{Used: 899, Usable: 1000, Inodes: 100, Free: 10}, 90, 90},
		{disk.Usage{Used: 1000, Usable: 1000, Inodes: 100}, 100, 100},
		{disk.Usage{Used: 5, Usable: 10, Inodes: 3, Free: 9}, 50, 0},
	} {
		if c.u.Space() != c.space || c.u.Nodes() != c.nodes {
			t.Errorf("%+v: %d%% and %d%%, want %d%% and %d%%", c.u, c.u.Space(), c.u.Nodes(), c.space, c.nodes)
		}
	}
	if u, err := disk.Look(t.TempDir()); err != nil || u.Usable == 0 {
		t.Errorf("a real one: %+v, %v", u, err)
	}
	if _, err := disk.Look("/no/such/folder"); err == nil {
		t.Error("a folder that isn't there has room")
	}
}

func TestSharesAreRoundedUp(t *testing.T) {
	for _, c := range []struct {
		part, whole uint64
		want        int
	}{{0, 0, 0}, {0, 5, 0}, {1, 1000, 1}, {79, 100, 79}, {800, 1000, 80}, {801, 1000, 81}, {9, 5, 100}} {
		if got := disk.Percent(c.part, c.whole); got != c.want {
			t.Errorf("%d of %d is %d%%, want %d%%", c.part, c.whole, got, c.want)
		}
	}
}
