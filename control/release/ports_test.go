package release

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"testing"

	"rhumb"
	"rhumb/control/routing"
	"rhumb/internal/routertest"
)

// memory is a Store in memory.
type memory struct {
	values map[string]string

	mu       sync.Mutex
	settings map[string]string
	releases map[string][]rhumb.Release // by stack
}

func newMemory() *memory {
	return &memory{values: map[string]string{}, settings: map[string]string{}, releases: map[string][]rhumb.Release{}}
}

func (m *memory) Value(_ context.Context, name string) ([]byte, error) {
	v, ok := m.values[name]
	if !ok {
		return nil, rhumb.Errorf(rhumb.NotFound, "no value")
	}
	return []byte(v), nil
}

func (m *memory) Setting(_ context.Context, _, key string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.settings[key], nil
}

func (m *memory) SetSetting(_ context.Context, _, key, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.settings[key] = value
	return nil
}

func (m *memory) Stacks(context.Context) ([]rhumb.StackState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []rhumb.StackState
	for _, name := range slices.Sorted(maps.Keys(m.releases)) {
		all = append(all, rhumb.StackState{Name: name, Current: len(m.releases[name])})
	}
	return all, nil
}

func (m *memory) Releases(_ context.Context, stack string) ([]rhumb.ReleaseInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []rhumb.ReleaseInfo
	for _, r := range m.releases[stack] {
		all = append(all, r.ReleaseInfo)
	}
	return all, nil
}

func (m *memory) Release(_ context.Context, stack string, number int) (rhumb.Release, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.releases[stack][number-1], nil
}

// harbour is a Maker that only chooses ports.
type harbour struct {
	*Maker
	t      *testing.T
	store  *memory
	router *routertest.Router
}

func newHarbour(t *testing.T) *harbour {
	h := &harbour{t: t, store: newMemory(), router: routertest.New()}
	entry, https := netip.MustParseAddrPort("[::]:20001"), netip.MustParseAddrPort("[::]:20002")
	h.Maker = &Maker{Store: h.store, Ports: routing.NewDesk(h.router, entry, https, rhumb.Authority{})}
	return h
}

// choose chooses the ports of a model.
func (h *harbour) choose(m *rhumb.Stack, look bool) error {
	d := draft{Maker: h.Maker, model: m, look: look}
	if rs := h.store.releases[m.Name]; len(rs) > 0 {
		d.current = &rs[len(rs)-1]
	}
	return d.choosePorts(h.t.Context())
}

// chosen returns the host ports that a model gets.
func (h *harbour) chosen(m rhumb.Stack, look bool) []uint16 {
	h.t.Helper()
	m = copyModel(m)
	if err := h.choose(&m, look); err != nil {
		h.t.Fatalf("%s: %v", m.Name, err)
	}
	var all []uint16
	for _, s := range m.Services {
		for _, p := range s.Ports {
			all = append(all, p.Published)
		}
	}
	return all
}

// deployed chooses a model's ports and makes it the stack's newest release.
func (h *harbour) deployed(m rhumb.Stack) []uint16 {
	h.t.Helper()
	m = copyModel(m)
	if err := h.choose(&m, false); err != nil {
		h.t.Fatalf("%s: %v", m.Name, err)
	}
	n := len(h.store.releases[m.Name]) + 1
	rel := rhumb.Release{ReleaseInfo: rhumb.ReleaseInfo{Stack: m.Name, Number: n}, Model: m}
	h.store.releases[m.Name] = append(h.store.releases[m.Name], rel)
	return h.chosen(m, true)
}

func (h *harbour) is(what string, got []uint16, want ...uint16) {
	h.t.Helper()
	if !slices.Equal(got, want) {
		h.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// publishing is a stack with a service for each list of ports.
func publishing(name string, services ...[]rhumb.Port) rhumb.Stack {
	m := rhumb.Stack{Name: name}
	for i, ports := range services {
		m.Services = append(m.Services, rhumb.Service{Name: string(rune('a' + i)), Ports: ports})
	}
	return m
}

func anyPort(target uint16) []rhumb.Port { return []rhumb.Port{{Target: target, Protocol: rhumb.TCP}} }

func fixed(n uint16) []rhumb.Port {
	return []rhumb.Port{{Published: n, Target: 80, Protocol: rhumb.TCP}}
}

func ranged(from, to uint16) []rhumb.Port {
	return []rhumb.Port{{Published: from, PublishedEnd: to, Target: 80, Protocol: rhumb.TCP}}
}

func TestChosenPortsOfOneReleaseDiffer(t *testing.T) {
	h := newHarbour(t)
	both := slices.Concat(anyPort(8080), anyPort(8081))
	shop := publishing("shop", anyPort(8080), both, fixed(20003))
	h.is("and not the entries", h.chosen(shop, true), 20000, 20004, 20005, 20003)
	udp := []rhumb.Port{{Target: 53, Protocol: rhumb.UDP}}
	h.is("TCP and UDP don't meet", h.chosen(publishing("dns", anyPort(53), udp), true), 20000, 20000)
	m := publishing("host", anyPort(8080), nil)
	m.Services[1].Container.HostPorts = []rhumb.Port{
		{Published: 20000, Protocol: rhumb.TCP}, {Published: 20003, PublishedEnd: 20005, Protocol: rhumb.TCP},
	}
	h.is("the engine publishes some", h.chosen(m, true), 20006)
}

func TestAPlanKeepsNoPorts(t *testing.T) {
	h := newHarbour(t)
	h.is("planned", h.chosen(publishing("one", anyPort(80)), true), 20000)
	if len(h.store.settings) > 0 {
		t.Errorf("kept: %v", h.store.settings)
	}
	h.is("of another stack", h.chosen(publishing("two", anyPort(80)), false), 20000)
}

func TestAKeptPortBelongsToOneStack(t *testing.T) {
	h := newHarbour(t)
	h.is("first", h.deployed(publishing("one", anyPort(80))), 20000)
	h.is("another port", h.deployed(publishing("one", anyPort(81))), 20003)
	h.is("another stack while the first may be rolled back", h.deployed(publishing("two", anyPort(80))), 20004)
	delete(h.store.releases, "one") // it is down
	h.is("another stack while the first is down", h.deployed(publishing("three", anyPort(80))), 20005)
	h.is("up again", h.deployed(publishing("one", anyPort(80))), 20000)
	h.router.Hold("[::]:20006")
	h.is("another process has one", h.deployed(publishing("four", anyPort(80))), 20007)
	h.is("a fixed port", h.deployed(publishing("five", fixed(20008))), 20008)
	h.is("beside a fixed port", h.deployed(publishing("six", anyPort(80))), 20009)
}

func TestAKeptPortThatIsTakenIsReplaced(t *testing.T) {
	h := newHarbour(t)
	h.is("first", h.deployed(publishing("one", anyPort(80))), 20000)
	h.router.Hold("[::]:20000") // the proxy itself, which serves it
	h.is("while it serves", h.deployed(publishing("one", anyPort(80), nil)), 20000)
	delete(h.store.releases, "one")
	h.is("another process has it", h.deployed(publishing("one", anyPort(80))), 20003)
	delete(h.store.releases, "one")
	h.is("fixed", h.deployed(publishing("two", fixed(20003))), 20003)
	h.is("another stack has it", h.deployed(publishing("one", anyPort(80))), 20004)
	key := portKey("twins", &rhumb.Service{Name: "b"}, &anyPort(80)[0])
	h.store.settings[key] = "20005"
	h.is("two services kept the same one", h.chosen(publishing("twins", fixed(20005), anyPort(80)), true), 20005, 20006)
}

func TestANarrowRangeReusesKeptPorts(t *testing.T) {
	h := newHarbour(t)
	h.is("first", h.deployed(publishing("one", ranged(8000, 8001))), 8000)
	h.is("renamed", h.deployed(publishing("one", nil, ranged(8000, 8001))), 8001)
	h.is("renamed again", h.deployed(publishing("one", nil, nil, ranged(8000, 8001))), 8000)
	m := publishing("two", ranged(8000, 8001))
	if err := h.choose(&m, false); rhumb.ErrorCode(err) != rhumb.Conflict {
		t.Errorf("both may be rolled back to: %v", err)
	}
	delete(h.store.releases, "one")
	h.is("the other is down", h.deployed(publishing("two", ranged(8000, 8001))), 8000)
}

func TestTwoDeploymentsAtOnceChooseDifferentPorts(t *testing.T) {
	h := newHarbour(t)
	var all sync.WaitGroup
	got := make([]uint16, 8)
	for i := range got {
		all.Go(func() {
			m := publishing(string(rune('a'+i)), anyPort(80))
			if err := h.choose(&m, false); err != nil {
				t.Error(err)
			}
			got[i] = m.Services[0].Ports[0].Published
		})
	}
	all.Wait()
	slices.Sort(got)
	if len(slices.Compact(got)) != 8 {
		t.Errorf("chosen: %v", got)
	}
}
