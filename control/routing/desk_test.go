package routing

import (
	"maps"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/internal/routertest"
)

var authority = rhumb.Authority{Directory: "https://acme.test/dir"}

func deskOf(r rhumb.Router) *Desk {
	return NewDesk(r, netip.MustParseAddrPort("[::]:80"), netip.MustParseAddrPort("[::]:443"), authority)
}

// routes makes a table one in which each stack has a backend, and rules for its hosts.
func routes(hosts map[string][]string) func(*rhumb.Table) {
	return func(t *rhumb.Table) {
		t.Rules, t.Backends = nil, nil
		for _, stack := range slices.Sorted(maps.Keys(hosts)) {
			t.Backends = append(t.Backends, rhumb.Backend{Name: stack + "/web:80", Stack: stack, Service: "web"})
			for _, h := range hosts[stack] {
				t.Rules = append(t.Rules, rhumb.Rule{Host: h, Backend: stack + "/web:80"})
			}
		}
	}
}

// held returns the certificates in the proxy's table.
func held(t *testing.T, r rhumb.Router) []string {
	t.Helper()
	st, err := r.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range st.Table.Certificates {
		all = append(all, c.Host+" "+string(c.Source)+" "+c.Stack)
	}
	return all
}

func TestHostsHaveCertificatesWhileTheyHaveRoutes(t *testing.T) {
	r := routertest.New()
	d := deskOf(r)
	wish := func(stack, host string, from rhumb.CertSource) {
		t.Helper()
		w := []rhumb.Certificate{{Host: host, Source: from, Stack: stack}}
		if err := d.Certify(t.Context(), stack, w); err != nil || !d.Has(stack, w) {
			t.Fatal(err)
		}
	}
	wish("shop", "a.example.com", rhumb.CertACME)
	if got := held(t, r); got != nil {
		t.Errorf("before the host has a route: %v", got)
	}
	edit := func(hosts map[string][]string) {
		t.Helper()
		if err := d.Edit(t.Context(), routes(hosts)); err != nil {
			t.Fatal(err)
		}
	}
	edit(map[string][]string{"shop": {"a.example.com"}})
	if got := held(t, r); !slices.Equal(got, []string{"a.example.com acme shop"}) {
		t.Errorf("got %v", got)
	}
	st, _ := r.Status(t.Context())
	listeners := st.Table.Listeners
	if st.Table.Authority != authority || len(listeners) != 2 || listeners[1].Protocol != rhumb.HTTPS {
		t.Errorf("got %+v", st.Table)
	}
	edit(map[string][]string{"shop": {"a.example.com"}, "blog": {"a.example.com", "b.example.com"}})
	wish("blog", "a.example.com", rhumb.CertInternal)
	if got := held(t, r); !slices.Equal(got, []string{"a.example.com acme shop"}) {
		t.Errorf("a host of two stacks belongs to the first: %v", got)
	}
	other := deskOf(r) // of a daemon that has just started and doesn't know the wishes of its stacks
	if err := other.Edit(t.Context(), func(t *rhumb.Table) { t.Rules = t.Rules[:len(t.Rules)-1] }); err != nil {
		t.Fatal(err)
	}
	if got := held(t, r); len(got) != 1 {
		t.Errorf("certificates are kept until a stack wishes others: %v", got)
	}
	edit(nil)
	if st, _ := r.Status(t.Context()); st.Table.Certificates != nil || len(st.Table.Listeners) != 0 {
		t.Errorf("without routes: %+v", st.Table)
	}
}

func TestATakenHTTPSAddressHoldsUpNoOtherChange(t *testing.T) {
	r := routertest.New()
	r.Hold("[::]:443")
	d := deskOf(r)
	if err := d.Edit(t.Context(), routes(map[string][]string{"shop": {"a.test"}})); err != nil {
		t.Fatal(err)
	}
	w := []rhumb.Certificate{{Host: "a.test", Source: rhumb.CertInternal, Stack: "shop"}}
	if err := d.Certify(t.Context(), "shop", w); err != nil {
		t.Fatal(err)
	}
	st, _ := r.Status(t.Context())
	if len(st.Table.Listeners) != 1 || len(st.Table.Certificates) != 1 {
		t.Errorf("got %+v", st.Table)
	}
	if d.httpsFrom.Before(time.Now()) {
		t.Error("the desk tries again at once")
	}
}

func TestAnHTTPSAddressIsTriedAgainUntilItIsFree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := routertest.New()
		r.Hold("[::]:443")
		d := deskOf(r)
		if err := d.Edit(t.Context(), routes(map[string][]string{"shop": {"a.test"}})); err != nil {
			t.Fatal(err)
		}
		w := []rhumb.Certificate{{Host: "a.test", Source: rhumb.CertInternal, Stack: "shop"}}
		tables := 0
		r.OnApply(func(rhumb.Table) { tables++ })
		for range 3 {
			if d.Has("shop", w) {
				t.Error("the desk would not try again")
			}
			if err := d.Certify(t.Context(), "shop", w); err != nil || !d.Has("shop", w) {
				t.Errorf("the desk tries again at once (%v)", err)
			}
			time.Sleep(httpsPause)
		}
		if tables != 1 {
			t.Errorf("%d tables were served, want 1", tables)
		}
		r.Free("[::]:443")
		if err := d.Certify(t.Context(), "shop", w); err != nil {
			t.Fatal(err)
		}
		time.Sleep(httpsPause)
		if st, _ := r.Status(t.Context()); len(st.Table.Listeners) != 2 || !d.Has("shop", w) {
			t.Errorf("got %+v", st.Table)
		}
	})
}

func TestWishesThatDidNotReachTheProxyAreSentAgain(t *testing.T) {
	r := routertest.New()
	d := deskOf(r)
	w := []rhumb.Certificate{{Host: "a.test", Source: rhumb.CertInternal, Stack: "shop"}}
	if err := d.Certify(t.Context(), "shop", w); err != nil || !d.Has("shop", w) {
		t.Fatal(err)
	}
	r.Away(true)
	w = []rhumb.Certificate{{Host: "a.test", Source: rhumb.CertACME, Stack: "shop"}}
	if err := d.Certify(t.Context(), "shop", w); err == nil || d.Has("shop", w) {
		t.Errorf("got %v", err)
	}
}

func TestAHostOfTwoServicesHasTheSettingsOfEither(t *testing.T) {
	set := rhumb.Service{Name: "set", Routes: []rhumb.Route{{Host: "a.rhumb.dev"}}}
	set.TLS.Source = rhumb.CertInternal
	silent := rhumb.Service{Name: "silent", Routes: []rhumb.Route{{Host: "a.rhumb.dev", Path: "/api"}}}
	for _, services := range [][]rhumb.Service{{set, silent}, {silent, set}} {
		w := deskOf(routertest.New()).Wishes("shop", &rhumb.Stack{Services: services})
		if len(w) != 1 || w[0].Source != rhumb.CertInternal {
			t.Errorf("%s first: %+v", services[0].Name, w)
		}
	}
}

func TestHTTPSIsServedBesideAUDPPortOfItsNumber(t *testing.T) {
	r := routertest.New()
	d := deskOf(r)
	w := []rhumb.Certificate{{Host: "a.test", Source: rhumb.CertInternal, Stack: "shop"}}
	if err := d.Certify(t.Context(), "shop", w); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []rhumb.Protocol{rhumb.UDP, rhumb.TCP} {
		want := protocol == rhumb.UDP
		err := d.Edit(t.Context(), func(t *rhumb.Table) {
			routes(map[string][]string{"shop": {"a.test"}})(t)
			t.Listeners = []rhumb.Listener{{Addr: d.https, Protocol: protocol, Backend: "shop/web:80"}}
		})
		st, _ := r.Status(t.Context())
		got := slices.Contains(st.Table.Listeners, rhumb.Listener{Addr: d.https, Protocol: rhumb.HTTPS})
		if err != nil || got != want {
			t.Errorf("beside %s: %v (%v)", protocol, got, err)
		}
	}
}

func TestAServerWithTLSOffRemovesItFromTheTable(t *testing.T) {
	r := routertest.New()
	m := &rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web", Routes: []rhumb.Route{{Host: "a.test"}}}}}
	before := deskOf(r)
	if err := before.Edit(t.Context(), routes(map[string][]string{"shop": {"a.test"}})); err != nil {
		t.Fatal(err)
	}
	if err := before.Certify(t.Context(), "shop", before.Wishes("shop", m)); err != nil {
		t.Fatal(err)
	}
	if st, _ := r.Status(t.Context()); len(st.Table.Listeners) != 2 {
		t.Fatalf("got %+v", st.Table)
	}
	off := NewDesk(r, before.entry, netip.AddrPort{}, authority)
	w := off.Wishes("shop", m)
	if off.Has("shop", w) {
		t.Error("the desk would send nothing")
	}
	if err := off.Certify(t.Context(), "shop", w); err != nil || !off.Has("shop", w) {
		t.Error(err)
	}
	if st, _ := r.Status(t.Context()); len(st.Table.Listeners) != 1 || st.Table.Certificates != nil {
		t.Errorf("got %+v", st.Table)
	}
}

func TestACertificatesSourceFollowsFromTheHost(t *testing.T) {
	plain := true
	for _, c := range []struct {
		host string
		tls  rhumb.TLS
		acme bool
		want rhumb.CertSource
		both bool
	}{
		{"shop.example.com", rhumb.TLS{}, true, rhumb.CertACME, false},
		{"shop.example.com", rhumb.TLS{}, false, rhumb.CertInternal, true},
		{"app.internal", rhumb.TLS{}, true, rhumb.CertInternal, true},
		{"nas", rhumb.TLS{}, true, rhumb.CertInternal, true},
		{"app.home.arpa", rhumb.TLS{}, true, rhumb.CertInternal, true},
		{"*.example.com", rhumb.TLS{}, true, rhumb.CertOff, false},
		{"192.0.2.1", rhumb.TLS{}, true, rhumb.CertOff, false},
		{"app.internal", rhumb.TLS{Source: rhumb.CertInternal}, true, rhumb.CertInternal, false},
		{"shop.example.com", rhumb.TLS{Plain: &plain}, true, rhumb.CertACME, true},
		{"shop.example.com", rhumb.TLS{Source: rhumb.CertOff}, true, rhumb.CertOff, false},
	} {
		if got := certificateOf("s", c.host, c.tls, c.acme); got.Source != c.want || got.Plain != c.both {
			t.Errorf("%s %+v: got %+v", c.host, c.tls, got)
		}
	}
}

func TestADeploymentThatCannotHaveTLSIsRefused(t *testing.T) {
	r := routertest.New()
	d := NewDesk(r, netip.MustParseAddrPort("[::]:80"), netip.MustParseAddrPort("[::]:443"), rhumb.Authority{})
	refused := func(m rhumb.Stack, served rhumb.Table) error {
		t.Helper()
		c := check{desk: d, model: &m, table: served, owner: owners(served)}
		return c.certificates(t.Context())
	}
	with := func(tls rhumb.TLS, ports ...rhumb.Port) rhumb.Stack {
		web := rhumb.Service{Name: "web", TLS: tls, Ports: ports, Routes: []rhumb.Route{{Host: "shop.example.com"}}}
		return rhumb.Stack{Name: "shop", Services: []rhumb.Service{web}}
	}
	p443 := rhumb.Port{Published: 443, Target: 443, Protocol: rhumb.TCP}
	entry := rhumb.Table{Listeners: []rhumb.Listener{{Addr: d.https, Protocol: rhumb.HTTPS}}}
	blog := rhumb.Listener{Addr: netip.MustParseAddrPort("127.0.0.1:443"), Protocol: rhumb.TCP, Backend: "blog/web:443"}
	other := rhumb.Table{Listeners: []rhumb.Listener{blog}}
	off := rhumb.TLS{Source: rhumb.CertOff}
	for _, k := range []struct {
		what   string
		m      rhumb.Stack
		served rhumb.Table
		bad    bool
	}{
		{"nothing in the way", with(rhumb.TLS{}), rhumb.Table{}, false},
		{"the entry is open", with(rhumb.TLS{}), entry, false},
		{"ACME is off", with(rhumb.TLS{Source: rhumb.CertACME}), rhumb.Table{}, true},
		{"another stack's port", with(rhumb.TLS{}), other, true},
		{"another stack's port, without TLS", with(off), other, false},
		{"its own port", with(rhumb.TLS{}, p443), rhumb.Table{}, true},
		{"its own port, without TLS", with(off, p443), rhumb.Table{}, false},
		{"its own port, where others have TLS", with(off, p443), entry, true},
	} {
		err := refused(k.m, k.served)
		if (rhumb.ErrorCode(err) == rhumb.Conflict) != k.bad || k.bad && rhumb.ErrorHint(err) == "" {
			t.Errorf("%s: got %v", k.what, err)
		}
	}
	r.Hold("[::]:443")
	err := refused(with(rhumb.TLS{}), rhumb.Table{})
	if rhumb.ErrorCode(err) != rhumb.Conflict || rhumb.ErrorHint(err) != withoutTLS {
		t.Errorf("another process's port: %v", err)
	}
}
