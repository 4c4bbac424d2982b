package routing

import (
	"testing"

	"rhumb"
	"rhumb/internal/routertest"
)

func TestPortsForOutgoingConnectionsAreChosenLast(t *testing.T) {
	all := func(uint16) (taken, better bool) { return false, true }
	for _, c := range []struct{ from, to, want uint16 }{
		{0, 0, 20000}, {32768, 60999, 20000}, {1024, 20010, 20011}, {1024, 65535, 20000},
	} {
		d := deskOf(routertest.New())
		d.outgoing = func() (from, to uint16) { return c.from, c.to }
		p := rhumb.Port{Target: 80, Protocol: rhumb.TCP}
		if got, err := d.FreePort(t.Context(), p, all); got != c.want || err != nil {
			t.Errorf("outgoing %d to %d: %d, %v", c.from, c.to, got, err)
		}
	}
	if from, to := outgoing(); from == 0 || to < from {
		t.Errorf("the kernel's range: %d to %d", from, to)
	}
}

func TestNoPortBeyondTheRangeIsChosen(t *testing.T) {
	d := deskOf(routertest.New())
	none := func(uint16) (taken, better bool) { return true, false }
	p := rhumb.Port{Published: 65530, PublishedEnd: 65535, Target: 80, Protocol: rhumb.TCP}
	if n, err := d.FreePort(t.Context(), p, none); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Errorf("all ports are taken: %d, %v", n, err)
	}
}
