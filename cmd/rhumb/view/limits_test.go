package view

import (
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestRoutesShowWhatLimitsDo(t *testing.T) {
	second := rhumb.Rate{Count: 20, Per: time.Second}
	rs := rhumb.RouterStatus{Table: rhumb.Table{Backends: []rhumb.Backend{
		{Name: "shop/api:80", Limits: []rhumb.Limit{{Rate: second, Burst: 40, By: "header:X-Key", Observe: true}}},
		{Name: "shop/db:5432", Limits: []rhumb.Limit{{Connections: 9, Body: 1 << 20}}},
		{Name: "shop/none:80"},
		{Name: "shop/web:80", Limits: []rhumb.Limit{{Rate: second}, {Rate: rhumb.Rate{Count: 5, Per: time.Hour},
			Paths: []string{"/a", "/b"}, Route: "shop.test/"}}},
	}}, Backends: map[string]rhumb.BackendStats{
		"shop/api:80": {Limits: &rhumb.LimitStats{Observed: 7, Shared: "10.0.0.1"}},
		"shop/web:80": {Limits: &rhumb.LimitStats{Refused: 8, Since: time.Now().Add(-5 * time.Minute)}},
	}}
	var out strings.Builder
	printLimits(&out, rs)
	const want = `
SERVICE        LIMITS                                      REFUSED   OBSERVED   NOW
shop/api:80    20/s + 40 by header:X-Key (observes)        0         7          only observe: nearly all clients come from 10.0.0.1
shop/db:5432   9 at a time, bodies to 1.0 MB               0         0          -
shop/web:80    20/s + 0; 5/h + 0 on shop.test/ on /a, /b   8         0          refuse since 5m
`
	if out.String() != want {
		t.Errorf("%s", out.String())
	}
	out.Reset()
	if printLimits(&out, rhumb.RouterStatus{Table: rhumb.Table{Backends: rs.Table.Backends[2:3]}}); out.Len() > 0 {
		t.Errorf("without limits: %s", out.String())
	}
}
