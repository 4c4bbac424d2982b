package proxy

import (
	"context"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"testing"
	"time"

	"rhumb"
)

// livesFrom tells what comes.
func livesFrom(c <-chan Life) Lives {
	return func(ctx context.Context) iter.Seq2[Life, error] {
		return func(yield func(Life, error) bool) {
			for {
				select {
				case <-ctx.Done():
					return
				case l, ok := <-c:
					if !ok {
						yield(Life{}, errors.New("the engine went away"))
						return
					}
					if !yield(l, nil) {
						return
					}
				}
			}
		}
	}
}

func TestADeadReplicaGetsNothingAndItsTableStays(t *testing.T) {
	m, lives := &madeSegments{}, make(chan Life)
	p, _ := running(t, Options{Segments: m, Lives: livesFrom(lives)})
	at := netip.MustParseAddrPort("127.0.0.1:9")
	with := func(version uint64, replicas ...string) rhumb.Table {
		b := rhumb.Backend{Name: "shop/web:80", Stack: "shop", Service: "web"}
		for _, r := range replicas {
			b.Endpoints = append(b.Endpoints, rhumb.Endpoint{Replica: r, Name: r, Addr: at})
		}
		return rhumb.Table{Version: version, Backends: []rhumb.Backend{b}, Segments: []rhumb.Segment{segmentOf("a", 1, replicas...)}}
	}
	told := func(ls ...Life) { // and taken
		for _, l := range append(ls, Life{ID: "nobody"}, Life{ID: "nobody", Alive: true}) {
			lives <- l
		}
	}
	active := func(want ...string) {
		t.Helper()
		p.mu.Lock()
		defer p.mu.Unlock()
		s := p.served.Load()
		var got []string
		for _, e := range s.backends["shop/web:80"].active {
			for id, r := range s.replicas {
				if e.replica == r {
					got = append(got, id)
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("the front door leads to %v, want %v", got, want)
		}
		if made := m.made()["a"]; !slices.Equal(made, want) {
			t.Errorf("the segment leads to %v, want %v", made, want)
		}
	}
	apply := func(tb rhumb.Table) {
		t.Helper()
		if err := p.Apply(t.Context(), tb); err != nil {
			t.Fatal(err)
		}
	}
	apply(with(1, "r1", "r2"))
	told(Life{ID: "r1"})
	active("r2")
	if st, err := p.Status(t.Context()); err != nil || !st.Table.Equal(with(1, "r1", "r2")) {
		t.Errorf("the table isn't the daemon's: %+v, %v", st.Table, err)
	}
	apply(with(2, "r1", "r2", "r3"))
	active("r2", "r3")
	told(Life{ID: "r1", Alive: true})
	active("r1", "r2", "r3")
	told(Life{ID: "r4"}) // before it was ever in a table
	apply(with(3, "r3", "r4"))
	active("r3")
	apply(with(4, "r3"))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dead.ids["r4"] {
		t.Errorf("the dead are remembered after they left: %v", p.dead.ids)
	}
}

func TestWhoStartedAgainElsewhereGetsNothingAtItsOldAddress(t *testing.T) {
	d := dead{ids: map[string]bool{}, risen: map[string][]netip.Addr{}}
	at := func(s string) rhumb.Endpoint {
		return rhumb.Endpoint{Replica: "r", Addr: netip.AddrPortFrom(netip.MustParseAddr(s), 80)}
	}
	d.note(Life{ID: "r"})
	if !d.hides(at("10.0.0.2")) {
		t.Error("the dead one is led to")
	}
	d.note(Life{ID: "r", Alive: true, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.3")}})
	if !d.hides(at("10.0.0.2")) || d.hides(at("10.0.0.3")) {
		t.Error("it is looked for where it was")
	}
	d.note(Life{ID: "r"})
	d.note(Life{ID: "r", Alive: true}) // it shares another's network
	if d.hides(at("10.0.0.2")) {
		t.Error("who has no addresses of its own is judged by them")
	}
}

func TestTheDeadAreForgottenWhenThereAreTooMany(t *testing.T) {
	d := dead{ids: map[string]bool{}, risen: map[string][]netip.Addr{}}
	for i := range maxDead + 10 {
		if !d.note(Life{ID: string(rune(i + 256))}) {
			t.Fatal("a death is no news")
		}
	}
	if len(d.ids) != maxDead || len(d.order) != maxDead || d.ids[string(rune(256))] {
		t.Errorf("%d are remembered", len(d.ids))
	}
	if d.note(Life{ID: "alive", Alive: true}) {
		t.Error("who never died can't rise")
	}
}

func TestTheEngineIsAskedAgainWhenItWentAway(t *testing.T) {
	asked := make(chan struct{}, 100)
	gone := make(chan Life)
	close(gone)
	_, stop := running(t, Options{Lives: func(ctx context.Context) iter.Seq2[Life, error] {
		asked <- struct{}{}
		return livesFrom(gone)(ctx)
	}})
	for range 3 {
		select {
		case <-asked:
		case <-time.After(5 * time.Second):
			t.Fatal("not asked again")
		}
	}
	stop()
}
