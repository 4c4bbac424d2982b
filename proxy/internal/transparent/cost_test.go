package transparent

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// A connection through the proxy costs some four times what is measured here, so that 1.2 is 1.05 there.
func TestAConnectionFromAClientsAddressCostsHardlyMore(t *testing.T) {
	if testing.Short() {
		t.Skip("it measures, and -short is on")
	}
	if !inLab(t) {
		return
	}
	l := newLab(t, true)
	l.ensure()
	to := netip.AddrPortFrom(l.addrs[false], port)
	dials := []func() (net.Conn, error){
		func() (net.Conn, error) { return net.DialTimeout("tcp", to.String(), time.Second) },
		func() (net.Conn, error) { return l.machine.DialTCP(t.Context(), clients[false], to, time.Second) },
	}
	var took [2][]time.Duration
	for range 3000 {
		for i, dial := range dials { // in turn, so that both have the same machine
			began := time.Now()
			c, err := dial()
			l.must(err)
			_, err = io.ReadAll(c)
			c.Close()
			l.must(err)
			took[i] = append(took[i], time.Since(began))
		}
	}
	for _, ts := range took {
		slices.Sort(ts)
	}
	ours, theirs := took[0][len(took[0])/2], took[1][len(took[1])/2]
	ratio := float64(theirs) / float64(ours)
	t.Logf("a connection from our address takes %s, from a client's %s: %.2f times as long", ours, theirs, ratio)
	if ratio > 1.2 {
		t.Errorf("%.2f times as long", ratio)
	}
}
