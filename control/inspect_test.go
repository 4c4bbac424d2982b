package control

import (
	"testing"
	"time"

	"rhumb"
)

func TestAStatusSaysHowManyRequestsWaitForAService(t *testing.T) {
	now := time.Now()
	st := rhumb.RouterStatus{
		Table: rhumb.Table{Backends: []rhumb.Backend{{Name: "shop/web:80", Stack: "shop", Service: "web"}, {Name: "shop/web:81", Stack: "shop", Service: "web"},
			{Name: "blog/web:80", Stack: "blog", Service: "web"}, {Name: "shop/gone:80", Stack: "shop", Service: "gone"}}},
		Backends: map[string]rhumb.BackendStats{"shop/web:80": {Waiting: 2, WaitingSince: now.Add(-time.Second)}, "shop/web:81": {Waiting: 1, WaitingSince: now.Add(-3 * time.Second)},
			"blog/web:80": {Waiting: 9, WaitingSince: now.Add(-time.Hour)}, "shop/gone:80": {Waiting: 1}},
	}
	services := []rhumb.ServiceStatus{{Name: "db"}, {Name: "web"}}
	noteHolds(services, "shop", st, now)
	if web := services[1]; web.Waiting != 3 || web.Waited != 3*time.Second || services[0].Waiting != 0 {
		t.Errorf("got %+v", services)
	}
}
