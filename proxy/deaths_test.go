package proxy

import (
	"context"
	"errors"
	"iter"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"rhumb"
)

// livesFrom yields what comes from the channel, and an error once it is closed.
func livesFrom(c <-chan Life) Lives {
	return func(ctx context.Context) iter.Seq2[Life, error] {
		return func(yield func(Life, error) bool) {
			for {
				select {
				case <-ctx.Done():
					return
				case l, ok := <-c:
					if !ok {
						yield(Life{}, errors.New("the engine is gone"))
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
	with := func(version uint64, replicas ...string) rhumb.Table {
		tb := twoReplicas(version)
		tb.Backends[0].Endpoints = nil
		for _, r := range replicas {
			e := rhumb.Endpoint{Replica: r, Name: r, Addr: netip.MustParseAddrPort("127.0.0.1:9")}
			tb.Backends[0].Endpoints = append(tb.Backends[0].Endpoints, e)
		}
		tb.Segments = []rhumb.Segment{segmentOf("a", 1, replicas...)}
		return tb
	}
	active := func(want ...string) {
		t.Helper()
		awaitThat(t, "the front door has its replicas", func() bool { return slices.Equal(activeReplicas(p), want) })
		awaitThat(t, "the segment has its replicas", func() bool { return slices.Equal(m.made()["a"], want) })
	}
	apply := func(tb rhumb.Table) {
		t.Helper()
		if err := p.Apply(t.Context(), tb); err != nil {
			t.Fatal(err)
		}
	}
	apply(with(1, "r1", "r2"))
	lives <- Life{ID: "r1"}
	active("r2")
	if st, err := p.Status(t.Context()); err != nil || !st.Table.Equal(with(1, "r1", "r2")) {
		t.Errorf("the table isn't the daemon's: %+v, %v", st.Table, err)
	}
	apply(with(2, "r1", "r2", "r3"))
	active("r2", "r3")
	lives <- Life{ID: "r1", Alive: true}
	active("r1", "r2", "r3")
	lives <- Life{ID: "r4"} // before it is in any table
	apply(with(3, "r3", "r4"))
	active("r3")
	apply(with(4, "r3"))
	p.served.mu.Lock()
	defer p.served.mu.Unlock()
	if p.served.dead.ids["r4"] {
		t.Errorf("the dead are remembered after they left: %v", p.served.dead.ids)
	}
}

// awaitThat waits until is returns true.
func awaitThat(t *testing.T, what string, is func() bool) {
	t.Helper()
	limit := time.After(5 * time.Second)
	for !is() {
		select {
		case <-limit:
			t.Fatalf("not within 5 s: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

func TestARestartedReplicaGetsNothingAtItsOldAddress(t *testing.T) {
	d := newDead()
	at := func(s string) rhumb.Endpoint {
		return rhumb.Endpoint{Replica: "r", Addr: netip.AddrPortFrom(netip.MustParseAddr(s), 80)}
	}
	d.note(Life{ID: "r"})
	if !d.hides(at("10.0.0.2")) {
		t.Error("the dead replica gets requests")
	}
	d.note(Life{ID: "r", Alive: true, Addrs: []netip.Addr{netip.MustParseAddr("10.0.0.3")}})
	if !d.hides(at("10.0.0.2")) || d.hides(at("10.0.0.3")) {
		t.Error("the restarted replica is expected at its old address")
	}
	d.note(Life{ID: "r"})
	d.note(Life{ID: "r", Alive: true}) // it shares another replica's network
	if d.hides(at("10.0.0.2")) {
		t.Error("a replica without addresses of its own is hidden")
	}
}

func TestOnlySoManyDeathsAreRemembered(t *testing.T) {
	d := newDead()
	for i := range maxDead + 10 {
		if !d.note(Life{ID: string(rune(i + 256))}) {
			t.Fatal("a death is not new")
		}
	}
	if len(d.ids) != maxDead || len(d.order) != maxDead || d.ids[string(rune(256))] {
		t.Errorf("%d are remembered", len(d.ids))
	}
	if d.note(Life{ID: "alive", Alive: true}) {
		t.Error("a start without a death is new")
	}
}

func TestALostEngineEventStreamIsReopened(t *testing.T) {
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
			t.Fatal("the stream isn't opened again")
		}
	}
	stop()
}

// gate blocks pass after close, until open is called.
type gate struct {
	mu      sync.Mutex
	blocked chan struct{} // closed once a caller waits; nil: the gate is open
	open    chan struct{}
}

func (g *gate) close() (blocked <-chan struct{}, open func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.blocked, g.open = make(chan struct{}), make(chan struct{})
	end := g.open
	return g.blocked, sync.OnceFunc(func() { close(end) })
}

func (g *gate) pass() {
	g.mu.Lock()
	blocked, open := g.blocked, g.open
	g.blocked = nil
	g.mu.Unlock()
	if blocked != nil {
		close(blocked)
		<-open
	}
}

// slowDisk is a table file whose Save waits at the gate.
type slowDisk struct {
	tableFile
	gate *gate
}

func (d slowDisk) Save(t rhumb.Table) error {
	d.gate.pass()
	return d.tableFile.Save(t)
}

// slowSegments waits at the gate in Apply.
type slowSegments struct {
	Segments
	gate *gate
}

func (s slowSegments) Apply(ctx context.Context, ss []rhumb.Segment) map[string]error {
	s.gate.pass()
	return s.Segments.Apply(ctx, ss)
}

func TestADeathTakesEffectWhileATableIsBeingApplied(t *testing.T) {
	for name, slow := range map[string]func(p *Proxy, g *gate){
		"written to a slow disk": func(p *Proxy, g *gate) { p.saved = slowDisk{p.saved, g} },
		"made into segments": func(p *Proxy, g *gate) {
			p.segments.Segments = slowSegments{p.segments.Segments,
				g}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, lives := &gate{}, make(chan Life)
			p, err := New(Options{State: t.TempDir(), Lives: livesFrom(lives), Segments: &madeSegments{}})
			if err != nil {
				t.Fatal(err)
			}
			slow(p, g)
			runs(t, p)
			if err := p.Apply(t.Context(), twoReplicas(1)); err != nil {
				t.Fatal(err)
			}
			blocked, open := g.close()
			applied := make(chan error, 1)
			go func() { applied <- p.Apply(t.Context(), twoReplicas(2)) }()
			t.Cleanup(open)
			<-blocked
			dies(t, p, lives, "r1", applied)
			open()
			if err := <-applied; err != nil {
				t.Fatal(err)
			}
			if got := activeReplicas(p); !slices.Equal(got, []string{"r2"}) {
				t.Errorf("the new table routes to %v", got)
			}
		})
	}
}

func TestADeathTakesEffectWhileAPredecessorHangs(t *testing.T) {
	dir, lives := t.TempDir(), make(chan Life)
	socket := dir + "/s"
	old, _ := running(t, Options{State: dir, Socket: socket, Segments: &madeSegments{},
		Limits: Limits{StopTime: 100 * time.Millisecond}})
	at := free(t)
	held := func(version uint64) rhumb.Table {
		tb := twoReplicas(version)
		tb.Listeners = []rhumb.Listener{{Addr: at, Protocol: rhumb.TCP, Backend: "held"}}
		tb.Backends = append(tb.Backends, rhumb.Backend{Name: "held", Hold: time.Minute})
		return tb
	}
	if err := old.Apply(t.Context(), held(1)); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() // its being held keeps the old proxy alive
	next, _ := running(t, Options{State: dir, Socket: socket, Segments: &madeSegments{}, Lives: livesFrom(lives)})
	if err := next.Apply(t.Context(), held(2)); err != nil {
		t.Fatal(err)
	}
	old.turn.wait() // it answers no question
	unlock := sync.OnceFunc(old.turn.end)
	defer unlock()
	applied := make(chan error, 1)
	go func() { applied <- next.Apply(t.Context(), held(3)) }()
	awaitThat(t, "the new proxy serves the table", func() bool { return next.served.load().Table.Version == 3 })
	dies(t, next, lives, "r1", applied)
	unlock()
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
}

// twoReplicas returns a table with one backend and one segment, both with the replicas r1 and r2.
func twoReplicas(version uint64) rhumb.Table {
	b := rhumb.Backend{Name: "shop/web:80", Stack: "shop", Service: "web"}
	for _, r := range []string{"r1", "r2"} {
		b.Endpoints = append(b.Endpoints, rhumb.Endpoint{Replica: r, Name: r,
			Addr: netip.MustParseAddrPort("127.0.0.1:9")})
	}
	return rhumb.Table{Version: version, Backends: []rhumb.Backend{b},
		Segments: []rhumb.Segment{segmentOf("a", 1, "r1", "r2")}}
}

// dies sends the replica's death, and fails unless the proxy takes the replica out while Apply is still under way.
func dies(t *testing.T, p *Proxy, lives chan<- Life, replica string, applied <-chan error) {
	t.Helper()
	select {
	case lives <- Life{ID: replica}:
	case <-applied:
		t.Fatal("Apply has returned before the death was taken")
	}
	awaitThat(t, "the dead replica isn't chosen", func() bool { return !slices.Contains(activeReplicas(p), replica) })
	select {
	case <-applied:
		t.Fatal("Apply has returned before the death was taken")
	default:
	}
}

// activeReplicas returns the replicas that get new requests.
func activeReplicas(p *Proxy) []string { return p.served.load().Active("shop/web:80") }
