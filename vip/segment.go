package vip

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"rhumb"
)

// segment is what we remember of a segment: only what can't be seen. Everything else is looked up each time.
type segment struct {
	rules rules
	// of the namespace's rules after our last change; another number means that another process changed them
	epoch  uint32
	stood  standings                // the endpoints' state when the connections were last settled
	former map[netip.Addr]time.Time // endpoints that left with connections open, and since when no host answers there
	looks  int                      // looks at the connections that a change needs; two, as packets overtake changes
	untidy bool                     // there may be legs that aren't wanted
	failed string                   // the last error that was logged
}

// making is one look at a segment, with what had to be done.
type making struct {
	*segment
	instance string
	want     rhumb.Segment
	cables   []cable  // to its own bridge first, then the legs
	fresh    bool     // nothing of it existed
	repaired []string // what wasn't as it should be
}

// make makes the segment as it should be.
func (m *making) make() error {
	host, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return fmt.Errorf("ask the kernel: %w", err)
	}
	defer host.Close()
	m.cables = cables(m.instance, m.want)
	for i := range m.cables {
		if err := m.cables[i].find(host); err != nil {
			return err
		}
	}
	ns, made, err := openNamespace(namespaceName(m.instance, m.want.ID))
	if err != nil {
		return err
	}
	defer func() { _ = ns.Close() }()
	if m.fresh = made; made {
		m.epoch = 0
		m.repaired = append(m.repaired, "namespace")
	}
	// First the legs, to which the rules route; then rules and routes; then what brings packets to them.
	for _, leg := range m.cables[1:] {
		if err := m.plug(host, ns, leg); err != nil {
			return err
		}
	}
	if err := within(ns, m.prepare); err != nil {
		return err
	}
	if err := m.plug(host, ns, m.cables[0]); err != nil || !m.untidy {
		return err
	}
	err = within(ns, func() error { return unplug(m.cables) })
	m.untidy = err != nil
	return err
}

// prepare sets up the namespace of the calling thread, except for its cables.
func (m *making) prepare() error {
	if err := m.set(settings); err != nil {
		return err
	}
	if err := m.install(); err != nil {
		return err
	}
	if err := m.route(); err != nil {
		return err
	}
	if err := m.rank(); err != nil {
		return err
	}
	return m.settle()
}

func (m *making) set(all []setting) error {
	changed, err := set(all)
	m.repaired = append(m.repaired, changed...)
	return err
}

// install installs the rules if they aren't there. The kernel numbers the changes of a namespace's rules, so one number
// says whether they are as we left them. If the table is ours, only what is in its chains is replaced.
func (m *making) install() error {
	now, err := epoch()
	if err != nil {
		return err
	}
	r := rulesOf(m.want)
	ours := m.epoch != 0 && now == m.epoch
	same := m.epoch != 0 && m.rules.equal(r)
	if same && ours {
		return nil
	}
	m.untidy = m.untidy || m.epoch == 0 || !slices.Equal(m.rules.legs, r.legs)
	if err := install(r, !ours); err != nil {
		return fmt.Errorf("put rules in: %w", err)
	}
	if same {
		m.repaired = append(m.repaired, "rules")
	}
	if !ours && !m.fresh {
		m.looks = 2
	}
	m.rules = r
	m.epoch, err = epoch()
	return err
}

// settle ends the connections that no endpoint answers any more, see flows.
func (m *making) settle() error {
	f := flowsOf(m.want)
	if f.services.worseThan(m.stood) {
		m.looks = 2
	}
	m.stood = f.services
	if m.looks == 0 && len(m.former) == 0 {
		return nil
	}
	if !tracks() {
		m.former, m.looks = nil, max(m.looks-1, 0)
		return nil
	}
	gone, err := absent(m.cables, m.former)
	if err != nil {
		return err
	}
	f.gone = gone
	if _, err := netlink.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, f); err != nil {
		return fmt.Errorf("end connections: %w", err)
	}
	for a := range f.former {
		f.former[a] = m.former[a]
	}
	m.former, m.looks = f.former, max(m.looks-1, 0)
	return nil
}
