package view

import (
	"bytes"
	"testing"

	"rhumb"
)

func TestAlikeFailuresShareOneCard(t *testing.T) {
	failure := func(service string, release int, reason string) rhumb.Failure {
		return rhumb.Failure{Service: service, Slot: 1, Release: release, Reason: reason, ExitCode: 1, Hint: "look"}
	}
	d := rhumb.Deployment{Stack: "shop", From: 1, To: 2, Phase: rhumb.PhaseStuck, Failures: []rhumb.Failure{
		failure("web", 2, "exited with 1 after 307ms"),
		failure("web", 1, "exited with 1 after 1.2s"),
		failure("web", 1, "exited with 1 after 1m2s"),
		failure("web", 1, "exited with 1"),
		failure("web", 1, "was not ready after all"),
		failure("db", 1, "exited with 1"),
	}}
	var out bytes.Buffer
	Verdict(&out, d)
	const want = `
✘ shop-web.2.1: exited with 1 after 307ms
  again   4 times: shop-web.2.1, shop-web.1.1 (3 times)
  ended   exit code 1
  next    look

✘ shop-web.1.1: was not ready after all
  ended   exit code 1
  next    look

✘ shop-db.1.1: exited with 1
  ended   exit code 1
  next    look

`
	if out.String() != want {
		t.Errorf("got:\n%s", out.String())
	}
}

func TestAFailureOfNoReplicaNamesWhatFailed(t *testing.T) {
	for want, f := range map[string]rhumb.Failure{
		"shop":         {Release: 1, Reason: "make network shop_n: Pool overlaps with other one on this address space"},
		"shop/web":     {Service: "web", Release: 1, Reason: "*:80 is taken"},
		"shop-web.1.2": {Service: "web", Release: 1, Slot: 2, Reason: "exited with 1"},
		"shop-old.7.1": {Service: "web", Release: 1, Slot: 2, Replica: "shop-old.7.1", Reason: "exited with 1"},
	} {
		if got := nameOf("shop", f); got != want {
			t.Errorf("%+v is shown as %q, want %q", f, got, want)
		}
	}
}
