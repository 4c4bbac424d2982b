package web

import (
	"strings"
	"testing"
	"time"
)

func TestAlertsShowWhatIsWrongAndSinceWhen(t *testing.T) {
	rec := get(t, observedWorld().server(), "/alerts")
	contains(t, rec, 200, "1 alert firing", "1 silenced", "1 pending", "1 resolved",
		"95% of the answers of api take up to 840 ms",
		"/stacks/shop/deployments/812", "release 42", "Silenced until", "a deployment replaces what it is about", "CrashLoop",
		"compose.yaml:31", "i/o timeout", "/alerts/silence?rule=HighLatency&amp;service=api&amp;stack=shop",
		"/why?service=api&amp;since=")
	body := rec.Body.String()
	if strings.Index(body, "95% of the answers") > strings.Index(body, "expires in 9 days") {
		t.Error("a silenced alert stands before one that is sent")
	}
	contains(t, get(t, newWorld().server(), "/alerts"), 200, "Nothing is wrong", "every alert is sent",
		"No receiver is set")
	contains(t, get(t, deafWorld().server(), "/alerts"), 200,
		"What is wrong isn't known now", "Not available now")
}

func TestAlertsAreSilencedByAForm(t *testing.T) {
	w := observedWorld()
	s := w.server()
	contains(t, get(t, s, "/alerts/silence?rule=HighLatency&stack=shop"), 200, `value="HighLatency"`, `value="shop"`)
	rec := post(t, s, "/alerts/silence", "rule=HighLatency&stack=shop&minutes=60&why=known")
	if rec.Code != 303 || rec.Header().Get("Location") != "/alerts#silences" {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	got := w.silences[len(w.silences)-1]
	if got.Rule != "HighLatency" || got.Stack != "shop" || !got.Until.Equal(noon.Add(time.Hour)) || got.Why != "known" {
		t.Errorf("%+v", got)
	}
	if rec := post(t, s, "/alerts/unsilence", "id=s0"); rec.Code != 303 || len(w.silences) != 1 {
		t.Errorf("%d, %d silences", rec.Code, len(w.silences))
	}
	contains(t, post(t, s, "/alerts/unsilence", "id=s0"), 404, "no silence")
}

func TestWrongSilencesAreRefused(t *testing.T) {
	for _, form := range []string{"minutes=60", "rule=x&minutes=0", "rule=x&minutes=soon", "rule=x&minutes=999999",
		"rule=x"} {
		w := observedWorld()
		rec := post(t, w.server(), "/alerts/silence", form)
		if rec.Code != 400 || len(w.silences) != 1 {
			t.Errorf("%q: %d, %d silences", form, rec.Code, len(w.silences))
		}
	}
	contains(t, get(t, newWorld().server(), "/alerts/unsilence?id=s0"), 404, "there is no page")
}

func TestATestAlertShowsHowItWent(t *testing.T) {
	rec := post(t, observedWorld().server(), "/alerts/test", "")
	if rec.Code != 303 || rec.Header().Get("Location") != "/alerts?tested=1#receivers" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
	contains(t, get(t, observedWorld().server(), "/alerts?tested=1"), 200, "A test was sent", "failed")
	contains(t, post(t, newWorld().server(), "/alerts/test", ""), 404, "there are no receivers")
}
