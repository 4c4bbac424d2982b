package routing

import (
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"testing"

	"rhumb"
	"rhumb/internal/routertest"
)

// crowd has changes wait for each other behind a first one. It returns their errors, and how many tables were served
// after the first.
func crowd(t *testing.T, r *routertest.Router, edits []func(*rhumb.Table)) (errs []error, tables int) {
	t.Helper()
	d := deskOf(r)
	first, wait := make(chan struct{}), make(chan struct{})
	r.OnApply(func(table rhumb.Table) {
		if table.Version > 1 {
			tables++
			return
		}
		close(first)
		<-wait
	})
	var all sync.WaitGroup
	all.Go(func() {
		if err := d.Edit(t.Context(), routes(map[string][]string{"first": {"first.test"}})); err != nil {
			t.Error(err)
		}
	})
	<-first
	errs = make([]error, len(edits))
	for i, edit := range edits {
		all.Go(func() { errs[i] = d.Edit(t.Context(), edit) })
	}
	for d.waiting.len() < len(edits) {
		runtime.Gosched()
	}
	close(wait)
	all.Wait()
	r.OnApply(nil)
	return errs, tables
}

func (q *changes) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.all)
}

// host returns an edit that adds a route.
func host(name string) func(*rhumb.Table) {
	return func(t *rhumb.Table) {
		t.Backends = append(t.Backends, rhumb.Backend{Name: name, Stack: name, Service: "web"})
		t.Rules = append(t.Rules, rhumb.Rule{Host: name, Backend: name})
	}
}

func TestChangesThatWaitForEachOtherAreSentTogether(t *testing.T) {
	r := routertest.New()
	var edits []func(*rhumb.Table)
	for i := range 20 {
		edits = append(edits, host(fmt.Sprintf("h%d.test", i)))
	}
	errs, tables := crowd(t, r, edits)
	for i, err := range errs {
		if err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	}
	st, _ := r.Status(t.Context())
	if tables != 1 || len(st.Table.Rules) != 21 {
		t.Errorf("%d tables were sent, the last with %d rules", tables, len(st.Table.Rules))
	}
}

func TestARefusedChangeHoldsUpNoOtherChange(t *testing.T) {
	r := routertest.New()
	r.Hold("[::]:7777")
	var edits []func(*rhumb.Table)
	for i := range 5 {
		edits = append(edits, host(fmt.Sprintf("h%d.test", i)))
	}
	edits[3] = func(t *rhumb.Table) {
		host("taken.test")(t)
		l := rhumb.Listener{Addr: netip.MustParseAddrPort("[::]:7777"), Protocol: rhumb.TCP, Backend: "taken.test"}
		t.Listeners = append(t.Listeners, l)
	}
	errs, tables := crowd(t, r, edits)
	for i, err := range errs {
		if refused := rhumb.ErrorCode(err) == rhumb.Conflict; refused != (i == 3) || err != nil && i != 3 {
			t.Errorf("change %d: %v", i, err)
		}
	}
	st, _ := r.Status(t.Context())
	if tables != 4 || len(st.Table.Rules) != 5 {
		t.Errorf("%d tables were sent, the last with %d rules", tables, len(st.Table.Rules))
	}
}
