package proxy

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"rhumb/internal/porttest"

	"rhumb"
)

// madeSegments remembers what it was asked to make.
type madeSegments struct {
	mu     sync.Mutex
	fails  map[string]error
	now    []rhumb.Segment
	open   map[string]int
	reason error
	runs   int
	rival  *madeSegments // nil: none
	beside int           // how often the rival still repaired them when they were made
}

func (m *madeSegments) Apply(_ context.Context, ss []rhumb.Segment) map[string]error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = ss
	if m.rival != nil {
		m.beside += m.rival.looks()
	}
	errs := map[string]error{}
	for _, s := range ss {
		if err := m.fails[s.ID]; err != nil {
			errs[s.ID] = err
		}
	}
	return errs
}

func (m *madeSegments) Open(context.Context) (open, busy map[string]int) { return m.open, m.open }
func (m *madeSegments) Supported() error                                 { return m.reason }
func (m *madeSegments) Run(ctx context.Context) error {
	m.mu.Lock()
	m.runs++
	m.mu.Unlock()
	<-ctx.Done()
	m.mu.Lock()
	m.runs--
	m.mu.Unlock()
	return nil
}

func (m *madeSegments) looks() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.runs
}

// made returns the networks that are made now, with the replicas that get new connections.
func (m *madeSegments) made() map[string][]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	made := map[string][]string{}
	for _, s := range m.now {
		made[s.Network] = []string{}
		for _, a := range s.Services {
			for _, e := range a.Endpoints {
				made[s.Network] = append(made[s.Network], e.Replica)
			}
		}
	}
	return made
}

func (m *madeSegments) fail(id string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fails[id] = err
}

func segmentOf(network string, third byte, replicas ...string) rhumb.Segment {
	s := rhumb.Segment{Network: network, ID: "id-" + network, Stack: "shop", Bridge: "br-" + network,
		Subnet: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, third, 0}), 24)}
	a := rhumb.ServiceAddress{Service: "web", Addr: netip.AddrFrom4([4]byte{10, 0, third, 200})}
	for i, r := range replicas {
		a.Endpoints = append(a.Endpoints, rhumb.Endpoint{Replica: r, Name: r,
			Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, third, byte(i + 2)}), 0)})
	}
	s.Services = []rhumb.ServiceAddress{a}
	return s
}

// running runs a proxy until the test ends, or stop is called.
func running(t *testing.T, o Options) (p *Proxy, stop func()) {
	t.Helper()
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return p, runs(t, p)
}

// runs runs the proxy until the test ends, or stop is called.
func runs(t *testing.T, p *Proxy) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		if err := p.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	stop = func() {
		cancel()
		work.Wait()
	}
	t.Cleanup(stop)
	<-p.running
	return stop
}

func equalMade(t *testing.T, m *madeSegments, want map[string][]string) {
	t.Helper()
	got := m.made()
	if len(got) != len(want) {
		t.Fatalf("made: %v, want %v", got, want)
	}
	for n := range want {
		if !slices.Equal(got[n], want[n]) {
			t.Fatalf("made: %v, want %v", got, want)
		}
	}
}

func TestATableIsServedOnlyWithItsSegments(t *testing.T) {
	m := &madeSegments{fails: map[string]error{}}
	p, _ := running(t, Options{Segments: m, State: t.TempDir()})
	one, two := segmentOf("a", 1, "r1"), segmentOf("b", 2, "r2")
	if err := p.Apply(t.Context(), rhumb.Table{Version: 1, Segments: []rhumb.Segment{one}}); err != nil {
		t.Fatal(err)
	}
	m.fail(two.ID, errors.New("network b: no bridge"))
	err := p.Apply(t.Context(), rhumb.Table{Version: 2, Segments: []rhumb.Segment{two}})
	if rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Fatalf("a segment that can't be made: %v", err)
	}
	equalMade(t, m, map[string][]string{"a": {"r1"}})
	if st, err := p.Status(t.Context()); err != nil || st.Table.Version != 1 {
		t.Fatalf("serves %d, %v", st.Table.Version, err)
	}

	m.fail(two.ID, nil)
	m.fail(one.ID, errors.New("network a: its bridge is gone")) // unchanged, so that it doesn't refuse the table
	if err := p.Apply(t.Context(), rhumb.Table{Version: 2, Segments: []rhumb.Segment{one, two}}); err != nil {
		t.Fatal(err)
	}
	changed := segmentOf("a", 1, "r1", "r3")
	if err := p.Apply(t.Context(), rhumb.Table{Version: 3,
		Segments: []rhumb.Segment{changed, two}}); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Fatalf("a changed segment that can't be made: %v", err)
	}
	equalMade(t, m, map[string][]string{"a": {"r1"}, "b": {"r2"}})
	if err := p.Apply(t.Context(), rhumb.Table{Version: 3, Segments: []rhumb.Segment{two}}); err != nil {
		t.Fatal(err)
	}
	equalMade(t, m, map[string][]string{"b": {"r2"}})
}

// free returns an address at which no process listens.
func free(t *testing.T) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(porttest.Free(t)))
}

// listening returns a table with one listener and one segment.
func listening(at netip.AddrPort, s rhumb.Segment) rhumb.Table {
	return rhumb.Table{Version: 1, Segments: []rhumb.Segment{s}, Backends: []rhumb.Backend{{Name: "b"}},
		Listeners: []rhumb.Listener{{Addr: at, Protocol: rhumb.TCP, Backend: "b"}}}
}

func TestAFailedTableChangesNothing(t *testing.T) {
	for name, fail := range map[string]func(t *testing.T, m *madeSegments, state string){
		"its segment can't be made": func(_ *testing.T, m *madeSegments,
			_ string) {
			m.fail("id-b", errors.New("network b: no bridge"))
		},
		"it can't be saved": func(t *testing.T, _ *madeSegments, state string) {
			if err := os.RemoveAll(state); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, state := &madeSegments{fails: map[string]error{}}, t.TempDir()
			p, _ := running(t, Options{Segments: m, State: state})
			at := free(t)
			if err := p.Apply(t.Context(), listening(at, segmentOf("a", 1, "r1"))); err != nil {
				t.Fatal(err)
			}
			fail(t, m, state)
			next := listening(netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port()), segmentOf("b", 2, "r2"))
			next.Version = 2
			if err := p.Apply(t.Context(), next); err == nil {
				t.Fatal("the table is served")
			}
			equalMade(t, m, map[string][]string{"a": {"r1"}})
			c, err := net.Dial("tcp", at.String())
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if c, err := net.Dial("tcp", netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"),
				at.Port()).String()); err == nil {
				c.Close()
				t.Error("the new address is served")
			}
		})
	}
}

func TestAProxyMakesItsSegmentsAtTheStart(t *testing.T) {
	dir := t.TempDir()
	p, stop := running(t, Options{Segments: &madeSegments{}, State: dir})
	if err := p.Apply(t.Context(), rhumb.Table{Version: 1,
		Segments: []rhumb.Segment{segmentOf("a", 1, "r1")}}); err != nil {
		t.Fatal(err)
	}
	stop()
	m := &madeSegments{}
	_, stop = running(t, Options{Segments: m, State: dir})
	equalMade(t, m, map[string][]string{"a": {"r1"}})
	stop()

	// Without a table no segment is known to be superfluous.
	m = &madeSegments{now: []rhumb.Segment{segmentOf("a", 1, "r1")}}
	running(t, Options{Segments: m, State: t.TempDir()})
	equalMade(t, m, map[string][]string{"a": {"r1"}})
}

func TestASuccessorOwnsTheSegments(t *testing.T) {
	dir := t.TempDir()
	socket := dir + "/s"
	old := &madeSegments{}
	next := &madeSegments{open: map[string]int{"r1": 2}, rival: old}
	lives := make(chan Life)
	table := listening(free(t), segmentOf("a", 1, "r1", "r2"))
	table.Backends[0].Hold = time.Minute
	p1, _ := running(t, Options{Segments: old, State: dir, Socket: socket, Lives: livesFrom(lives),
		Limits: Limits{StopTime: 100 * time.Millisecond}})
	if err := p1.Apply(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", table.Listeners[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() // the old proxy has it to finish
	p2, _ := running(t, Options{Segments: next, State: dir, Socket: socket})
	equalMade(t, next, map[string][]string{"a": {"r1", "r2"}})
	table.Version, table.Segments = 2, []rhumb.Segment{segmentOf("a", 1, "r2")}
	if err := p2.Apply(t.Context(), table); err != nil {
		t.Fatal(err)
	}
	for range 2 { // once the second is taken, the first was noted
		lives <- Life{ID: "r2"}
	}
	equalMade(t, next, map[string][]string{"a": {"r2"}})
	equalMade(t, old, map[string][]string{"a": {"r1", "r2"}})
	if o, n := old.looks(), next.looks(); o != 0 || n != 1 || next.beside != 0 {
		t.Errorf("repaired by %d old and %d new keepers, and %d times by both", o, n, next.beside)
	}
	if st, err := p2.Status(t.Context()); err != nil || st.Open["r1"] != 2 {
		t.Errorf("open: %v, %v", st.Open, err)
	}
}

func TestStatusSaysWhyThereAreNoSegments(t *testing.T) {
	p, _ := running(t, Options{Segments: &madeSegments{reason: errors.New("the kernel has no nftables")}})
	if st, err := p.Status(t.Context()); err != nil || st.NoSegments != "the kernel has no nftables" {
		t.Errorf("%q, %v", st.NoSegments, err)
	}
	p, _ = running(t, Options{})
	if st, err := p.Status(t.Context()); err != nil || st.NoSegments == "" {
		t.Errorf("%q, %v", st.NoSegments, err)
	}
	if err := p.Apply(t.Context(), rhumb.Table{Version: 1,
		Segments: []rhumb.Segment{segmentOf("a", 1)}}); rhumb.ErrorCode(err) != rhumb.Unavailable {
		t.Errorf("%v", err)
	}
}
