package web

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"rhumb"
)

func TestAConfirmedChangeIsAskedFor(t *testing.T) {
	change := func(cause rhumb.Cause) rhumb.ChangeRequest {
		return rhumb.ChangeRequest{Stack: "shop", Cause: cause, By: maker}
	}
	back, one, all := change(rhumb.CauseRollback), change(rhumb.CauseRestart), change(rhumb.CauseRestart)
	five, none := change(rhumb.CauseScale), change(rhumb.CauseScale)
	back.Release, one.Services = 41, []string{"api"}
	five.Scale, none.Scale = map[string]int{"api": 5}, map[string]int{"api": 0}
	for form, want := range map[string]rhumb.ChangeRequest{
		"cause=rollback&release=41":           back,
		"cause=restart":                       all,
		"cause=restart&service=api":           one,
		"cause=scale&service=api&replicas=5":  five,
		"cause=scale&service=api&replicas=0":  none,
		"cause=rollback&release=":             {},
		"cause=scale&replicas=5":              {},
		"cause=scale&service=api&replicas=-1": {},
		"cause=down":                          {},
		"":                                    {},
	} {
		w := shopWorld()
		rec := post(t, w.server(), "/stacks/shop/scale", form)
		if want.Cause == "" {
			if rec.Code != http.StatusBadRequest || len(w.asked) > 0 {
				t.Errorf("%q: %d, and %v was asked for", form, rec.Code, w.asked)
			}
			continue
		}
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/stacks/shop/deployments/900" {
			t.Errorf("%q: %d to %q", form, rec.Code, rec.Header().Get("Location"))
		}
		if len(w.asked) != 1 || !reflect.DeepEqual(w.asked[0], want) {
			t.Errorf("%q: asked for %+v, want %+v", form, w.asked, want)
		}
	}
}

func TestAConfirmationShowsWhatTheChangeWouldDo(t *testing.T) {
	s := shopWorld().server()
	contains(t, get(t, s, "/stacks/shop/rollback"), 200, "Roll shop back to release 41?", "environment CART_LIMIT",
		"start shop-web.43.1", `name="release" value="41"`, `<option value="40"`)
	contains(t, get(t, s, "/stacks/shop/rollback?release=40"), 200, "back to release 40?")
	contains(t, get(t, s, "/stacks/shop/rollback?release=39"), 404, "no such release")
	contains(t, get(t, s, "/stacks/shop/restart?service=api"), 200, "Restart api of shop?")
	contains(t, get(t, s, "/stacks/shop/scale?service=api&replicas=5"), 200, "from 3 to 5 replicas?")
	contains(t, get(t, s, "/stacks/shop/scale?service=api&replicas=many"), 400, "from 0 to 999")
	contains(t, get(t, s, "/stacks/shop/scale?service=migrate"), 404, "no service migrate")
	lacks(t, get(t, s, "/stacks/shop/scale?service=api"), `method="post" action="/stacks`)
}

func TestAChangeThatCannotBeIsSaidBeforeAndAfter(t *testing.T) {
	w := shopWorld()
	w.denied = rhumb.Errorf(rhumb.Locked, "deployment 813 of shop is open").WithHint("wait, or cancel it")
	rec := get(t, w.server(), "/stacks/shop/rollback")
	contains(t, rec, 200, "deployment 813 of shop is open", "wait, or cancel it")
	lacks(t, rec, `method="post" action="/stacks`)
	rec = post(t, w.server(), "/stacks/shop/rollback", "cause=rollback&release=41")
	contains(t, rec, http.StatusConflict, "deployment 813 of shop is open", "wait, or cancel it")
}

func TestAnOpenDeploymentCanBeCancelled(t *testing.T) {
	w := openWorld()
	s := w.server()
	contains(t, get(t, s, "/stacks/shop/deployments/813/cancel"), 200, "Cancel deployment 813?",
		"release 42 serves as before")
	rec := post(t, s, "/stacks/shop/deployments/813/cancel", "id=813")
	if rec.Header().Get("Location") != "/stacks/shop/deployments/813" || !w.deployed[0].Cancel {
		t.Errorf("%d to %q; cancelled is %v", rec.Code, rec.Header().Get("Location"), w.deployed[0].Cancel)
	}
	contains(t, get(t, s, "/stacks/shop/deployments/812/cancel"), 409, "has ended", "converged: shop@42 serves")
}

func TestFormsLeaveWhileTheDaemonIsAway(t *testing.T) {
	rec := get(t, awayWorld().server(), "/stacks/shop")
	contains(t, rec, 200, "The daemon doesn't answer", "38.0/s", "/logs?stack=shop")
	lacks(t, rec, "/rollback", "/restart", "/scale", "Deployments</h2>")
	contains(t, post(t, awayWorld().server(), "/stacks/shop/restart", "cause=restart"), 503, "The daemon is away")
	contains(t, get(t, awayWorld().server(), "/stacks/shop/rollback"), 503, "The daemon is away")
}

func TestNamesInAddressesStayNames(t *testing.T) {
	rec := post(t, shopWorld().server(), "/stacks/a%20b%2Fc%3Fd/restart", "cause=restart")
	if to := rec.Header().Get("Location"); !strings.HasPrefix(to, "/stacks/a%20b%2Fc%3Fd/deployments/") {
		t.Errorf("goes to %q", to)
	}
}
