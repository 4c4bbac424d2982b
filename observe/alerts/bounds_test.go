package alerts

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestAlertsAreBoundedAndTheirTextsHarmless(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		var rules []rhumb.AlertRule
		for i := range 30 {
			name := "r" + strconv.Itoa(i)
			rules = append(rules, rule(name, 0))
			var series []string
			for j := range 500 {
				series = append(series, "service=s"+strconv.Itoa(j))
			}
			w.holds(name, series...)
		}
		a.SetRules("shop", rules)
		w.passes(time.Minute)
		if all, _ := a.Alerts(t.Context(), ""); len(all) != maxAlerts {
			t.Errorf("%d alerts", len(all))
		}
		for _, r := range rules {
			w.holds(r.Name)
		}
		w.holds("r3", "service=a\x1b[31m\u202eb"+strings.Repeat("x", 9000))
		w.passes(5 * time.Minute)
		all, _ := a.Alerts(t.Context(), "")
		firing := 0
		for _, alert := range all {
			if alert.State == rhumb.AlertFiring {
				firing++
				if strings.ContainsAny(alert.Text+alert.Service, "\x1b\u202e") || len(alert.Text) > 600 ||
					len(alert.Service) > 300 {
					t.Errorf("it is %+v", alert)
				}
			}
		}
		if len(all) > maxAlerts || firing != 1 {
			t.Errorf("%d alerts, %d firing", len(all), firing)
		}
		for i := range maxStacks + 10 {
			a.SetRules("s"+strconv.Itoa(i), make([]rhumb.AlertRule, maxRules+1))
			a.SetRules("s"+strconv.Itoa(i), []rhumb.AlertRule{{Name: "x"}})
			if i > 20 { // writing the file takes time
				break
			}
		}
	})
}

func TestAFileThatCannotBeReadIsSetAside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, text := range []string{"{", `{"Alerts": {"a": null}, "Incidents": {"shop": null}}`, "null", ""} {
			w := newWorld(t)
			if err := os.WriteFile(w.file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			a, stop := w.run()
			a.SetRules("shop", []rhumb.AlertRule{rule("slow", 0)})
			w.holds("slow", "service=web")
			w.passes(5 * time.Minute)
			w.expect(text, "firing shop: slow |  | ")
			stop()
			aside, err := os.ReadFile(w.file + ".unreadable")
			if bad := text == "{" || text == ""; bad != (err == nil) || string(aside) != text && bad {
				t.Errorf("%q: set aside is %q, %v", text, aside, err)
			}
		}
	})
}

func TestAStateThatCannotBeKeptIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.file += "/nowhere/alerts.json"
		a, stop := w.run()
		defer stop()
		_, err := a.Silence(t.Context(), rhumb.Silence{Rule: "slow", Until: time.Now().Add(time.Hour)})
		if rhumb.ErrorCode(err) != rhumb.Unavailable {
			t.Errorf("got %v", err)
		}
	})
}

func TestNumbersAreShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 7: "7", 0.128: "0.13", 12.34: "12.3", 99.96: "100", 1234.5: "1234",
		-3.5: "-3.5", 1e9: "1000000000", 2.999: "3"} {
		if got := number(v); got != want {
			t.Errorf("%v is %s, want %s", v, got, want)
		}
	}
}
