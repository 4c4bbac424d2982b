package routing

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"rhumb"
)

func TestAnAddressOfAnotherStackStaysThere(t *testing.T) {
	web := rhumb.Service{
		Name:   "web",
		Ports:  []rhumb.Port{{Published: 8080, Target: 80, Protocol: rhumb.TCP}},
		Routes: []rhumb.Route{{Host: "a.test", Port: 80}},
	}
	var table rhumb.Table
	publish := func(stack string, s rhumb.Service) (errs []error) {
		for _, addr := range s.Addresses() {
			if err := Publish(&table, stack, &s, addr); err != nil {
				errs = append(errs, err)
			}
		}
		return errs
	}
	if errs := publish("shop", web); errs != nil {
		t.Fatal(errs)
	}
	before := table.Clone()
	near := web
	near.Ports = slices.Clone(web.Ports)
	near.Ports[0].HostIP = "127.0.0.1" // within [::]:8080
	for _, s := range []rhumb.Service{web, near} {
		errs := publish("blog", s)
		if len(errs) != 2 || !reflect.DeepEqual(table, before) {
			t.Errorf("%v; %+v", errs, table)
		}
		for _, err := range errs {
			if rhumb.ErrorCode(err) != rhumb.Conflict {
				t.Error(err)
			}
		}
	}
	api := web
	api.Name = "api"
	errs := publish("shop", api)
	if errs != nil || table.Listeners[0].Backend != "shop/api:80" || table.Rules[0].Backend != "shop/api:80" {
		t.Errorf("within its stack it moves: %v; %+v", errs, table)
	}
	far := web
	far.Ports = []rhumb.Port{{Published: 8080, Target: 80, Protocol: rhumb.UDP}}
	far.Routes = []rhumb.Route{{Host: "a.test", Path: "/b", Port: 80}}
	if errs := publish("blog", far); errs != nil {
		t.Errorf("other addresses are free: %v", errs)
	}
}

func TestOnlyTheStacksOwnBackendsAreConfigured(t *testing.T) {
	table := rhumb.Table{Backends: []rhumb.Backend{
		{Name: "blog/web:80", Stack: "blog", Service: "web", Hold: time.Second},
		{Name: "shop/api:80", Stack: "shop", Service: "api", Hold: time.Second},
		{Name: "shop/web:80", Stack: "shop", Service: "web", Hold: time.Second},
	}}
	limits := []rhumb.Limit{{Rate: rhumb.Rate{Count: 20, Per: time.Second}, Burst: 40}}
	model := &rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web", Hold: time.Minute, AccessLog: true,
		Limits: limits, Bans: rhumb.Bans{For: time.Minute}}}}
	want := table.Clone()
	want.Backends[2].AccessLog, want.Backends[2].Limits, want.Backends[2].Bans.For = true, limits, time.Minute
	if Configure(&table, "shop", model, true); !table.Equal(want) {
		t.Errorf("while a deployment is open: %+v", table.Backends)
	}
	want.Backends[2].Hold = time.Minute
	if Configure(&table, "shop", model, false); !table.Equal(want) {
		t.Errorf("afterwards: %+v", table.Backends)
	}
	if Configure(&table, "shop", nil, false); !table.Equal(want) {
		t.Errorf("without a release: %+v", table.Backends)
	}
}
