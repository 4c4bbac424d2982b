package rhumb_test

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"rhumb"
)

// fullTable returns a table with a value in every field.
func fullTable() rhumb.Table {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	endpoint := rhumb.Endpoint{
		Replica: "r", Name: "shop-web.1.1", Release: 1, Addr: netip.MustParseAddrPort("10.0.0.2:80"),
		Draining: true, Since: at, Leave: true, Addr6: netip.MustParseAddr("fd00::2"), Unseen: "u",
		SendProxy: rhumb.ProxyV2, Slot: 1,
	}
	return rhumb.Table{
		Version: 7,
		Listeners: []rhumb.Listener{{
			Addr: netip.MustParseAddrPort("[::]:80"), Protocol: rhumb.HTTP, Backend: "b", AcceptProxy: true, Options: "o",
		}},
		Rules: []rhumb.Rule{{Host: "h", Path: "/p", Backend: "b", Options: "o"}},
		Backends: []rhumb.Backend{{
			Name: "b", Stack: "shop", Service: "web", Hold: time.Second, AccessLog: true, Sticky: true,
			Endpoints: []rhumb.Endpoint{endpoint},
			Limits: []rhumb.Limit{{
				Route: "h/p", Paths: []string{"/l"}, Rate: rhumb.Rate{Count: 20, Per: time.Second}, Burst: 40,
				By: rhumb.ByClient, Connections: 3, Body: 4, Status: 503, Observe: true,
			}},
			Bans: rhumb.Bans{For: time.Minute, Grow: 2, Max: time.Hour, Private: true, On: []rhumb.BanRule{{
				Name: "n", Status: []rhumb.StatusRange{{From: 400, To: 499}}, Paths: []string{"/p"},
				Methods: []string{"GET"}, Log: "l", Match: "m", Count: 5, In: time.Minute,
			}}},
		}},
		Segments: []rhumb.Segment{{
			Network: "n", ID: "i", Stack: "shop", Bridge: "br", Subnet: netip.MustParsePrefix("10.0.0.0/24"),
			Services: []rhumb.ServiceAddress{{
				Service: "web", Addr: netip.MustParseAddr("10.0.0.9"), Endpoints: []rhumb.Endpoint{endpoint}, Gap: at,
			}},
			Legs: []rhumb.Leg{{
				Network: "m", ID: "j", Bridge: "brm", Subnet: netip.MustParsePrefix("10.0.1.0/24"),
				Addr: netip.MustParseAddr("10.0.1.9"),
			}},
		}},
		Certificates: []rhumb.Certificate{{
			Host: "h", Source: rhumb.CertACME, Given: "p", Stack: "shop", HSTS: time.Hour, Plain: true,
		}},
		Authority: rhumb.Authority{Directory: "d", Email: "e", Root: "r"},
		Options:   []rhumb.TableOptions{{ID: "o", RouteOptions: fullOptions()}},
	}
}

// fullOptions returns options with a value in every field.
func fullOptions() rhumb.RouteOptions {
	file := rhumb.RouteFile{Kind: rhumb.FileRoute, Name: "f", Hash: "1f"}
	changes := rhumb.HeaderChanges{Remove: []string{"A"}, Set: []rhumb.HeaderField{{Name: "B", Value: "b"}},
		Add: []rhumb.HeaderField{{Name: "C", Value: "c"}}}
	return rhumb.RouteOptions{
		Redirect: &rhumb.Redirect{To: "/to", Status: 308, Exact: true}, Canonical: "h",
		Maintenance: &file, Auth: &rhumb.BasicAuth{Realm: "r", Users: file}, Strip: true,
		Request: *changesOf(changes), Response: *changesOf(changes),
		Pages: []rhumb.ErrorPage{{Status: 404, File: file}}, Replace: true, Compress: true,
		Buffer:   rhumb.Buffer{Request: 1, Response: 2},
		Timeouts: rhumb.Timeouts{Header: 1, Idle: 2, Whole: 3},
		WAF: &rhumb.WAF{Mode: rhumb.WAFBlock, Paranoia: 2, Score: 7, Body: 1024, Refuse: true,
			Exclude: []rhumb.WAFExclusion{{Path: "/a", Rules: []int{942100}}}},
	}
}

// changesOf returns a copy that shares nothing.
func changesOf(h rhumb.HeaderChanges) *rhumb.HeaderChanges {
	o := rhumb.RouteOptions{Request: h}
	return &o.Clone().Request
}

func TestOptionsAreIdentifiedByTheirContent(t *testing.T) {
	one, other := fullOptions(), fullOptions()
	if one.ID() != other.ID() || len(one.ID()) != 24 {
		t.Errorf("%s and %s", one.ID(), other.ID())
	}
	eachField(t, "RouteOptions", reflect.ValueOf(&other).Elem(), func(path string, v reflect.Value) {
		old := reflect.ValueOf(v.Interface())
		v.SetZero()
		if one.ID() == other.ID() {
			t.Errorf("%s differs, and the ID is the same", path)
		}
		v.Set(old)
	})
	if n := len(one.Files()); n != 3 {
		t.Errorf("%d files", n)
	}
}

// eachField calls do for every field and list element below v that holds a plain value.
func eachField(t *testing.T, path string, v reflect.Value, do func(path string, v reflect.Value)) {
	switch v.Interface().(type) {
	case time.Time, netip.Addr, netip.AddrPort, netip.Prefix:
		do(path, v)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			t.Errorf("%s is nil: the test says nothing about it", path)
			return
		}
		eachField(t, path, v.Elem(), do)
	case reflect.Struct:
		for i := range v.NumField() {
			eachField(t, path+"."+v.Type().Field(i).Name, v.Field(i), do)
		}
	case reflect.Slice:
		if v.Len() == 0 {
			t.Errorf("%s is empty: the test says nothing about it", path)
		}
		for i := range v.Len() {
			eachField(t, path, v.Index(i), do)
		}
	default:
		if v.IsZero() {
			t.Errorf("%s is zero: the test says nothing about it", path)
		}
		do(path, v)
	}
}

func TestTablesThatDifferInAnyFieldAreNotEqual(t *testing.T) {
	changed := fullTable()
	n := 0
	eachField(t, "Table", reflect.ValueOf(&changed).Elem(), func(path string, v reflect.Value) {
		n++
		old := reflect.ValueOf(v.Interface())
		v.SetZero()
		if changed.Equal(fullTable()) || fullTable().Equal(changed) {
			t.Errorf("%s differs, and the tables are equal", path)
		}
		v.Set(old)
	})
	if !changed.Equal(fullTable()) || n < 40 {
		t.Errorf("after %d fields the tables are equal: %v", n, changed.Equal(fullTable()))
	}
}

func TestACloneSharesNothingWithItsTable(t *testing.T) {
	table := fullTable()
	clone := table.Clone()
	if !reflect.DeepEqual(table, clone) {
		t.Fatalf("%+v was cloned as %+v", table, clone)
	}
	eachField(t, "Table", reflect.ValueOf(&clone).Elem(), func(_ string, v reflect.Value) { v.SetZero() })
	if !reflect.DeepEqual(table, fullTable()) {
		t.Errorf("changing the clone changed the table: %+v", table)
	}
}

func TestEmptyListsAreClonedAsNil(t *testing.T) {
	empty := rhumb.Table{
		Listeners: []rhumb.Listener{}, Rules: []rhumb.Rule{}, Certificates: []rhumb.Certificate{},
		Backends: []rhumb.Backend{{Endpoints: []rhumb.Endpoint{}}},
		Segments: []rhumb.Segment{{Services: []rhumb.ServiceAddress{{Endpoints: []rhumb.Endpoint{}}}}},
	}
	bare := rhumb.Table{
		Backends: make([]rhumb.Backend, 1),
		Segments: []rhumb.Segment{{Services: make([]rhumb.ServiceAddress, 1)}},
	}
	if clone := empty.Clone(); !reflect.DeepEqual(clone, bare) || !empty.Equal(bare) {
		t.Errorf("cloned as %+v; equal: %v", clone, empty.Equal(bare))
	}
}

func TestATableEqualsItselfAfterATripThroughJSON(t *testing.T) {
	table := fullTable()
	table.Backends[0].Endpoints[0].Since = time.Now() // with a zone and a monotonic clock
	text, err := json.Marshal(table)
	if err != nil {
		t.Fatal(err)
	}
	var got rhumb.Table
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if !got.Equal(table) {
		t.Errorf("%+v came back as %+v", table, got)
	}
}
