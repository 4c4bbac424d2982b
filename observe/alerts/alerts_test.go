package alerts

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/internal/alertrule"
)

func TestAnAlertWaitsFiresIsKeptAndResolved(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		r := rule("slow", 5*time.Minute)
		r.Keep = 2 * time.Minute
		a.SetRules("shop", []rhumb.AlertRule{r})
		began := time.Now()
		w.holds("slow", "service=web")
		time.Sleep(5 * time.Minute)
		w.expect("before its time")
		if all, _ := a.Alerts(t.Context(), ""); len(all) != 1 || all[0].State != rhumb.AlertPending {
			t.Errorf("it is %+v", all)
		}
		time.Sleep(45 * time.Second)
		w.expect("after its time", "firing shop: slow |  | ")
		w.holds("slow")
		time.Sleep(100 * time.Second)
		w.holds("slow", "service=web") // it flaps
		time.Sleep(10 * time.Minute)
		w.expect("while it is kept")
		w.holds("slow")
		time.Sleep(100 * time.Second)
		w.expect("when it is over for a short time")
		time.Sleep(time.Minute)
		w.expect("when it is over", "resolved shop:  |  | slow")
		all, _ := a.Alerts(t.Context(), "shop")
		if len(all) != 1 || all[0].State != rhumb.AlertResolved || all[0].Since.Sub(began) > time.Minute ||
			all[0].Text != "slow of web" || all[0].Stack != "shop" || all[0].Service != "web" || all[0].Value != 7 {
			t.Errorf("it is %+v", all)
		}
		time.Sleep(25 * time.Hour)
		if all, _ := a.Alerts(t.Context(), "shop"); len(all) != 0 {
			t.Errorf("a day later it is %+v", all)
		}
	})
}

func TestAPendingAlertThatEndsIsNeverSent(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		a.SetRules("shop", []rhumb.AlertRule{rule("slow", 2*time.Minute)})
		for range 20 {
			w.holds("slow", "service=web")
			time.Sleep(100 * time.Second)
			w.holds("slow")
			time.Sleep(30 * time.Second)
		}
		w.expect("at the end")
	})
}

func TestWhatFiresTogetherIsOneMessage(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		urgent := rule("urgent", 0)
		urgent.Severity = rhumb.SeverityCritical
		a.SetRules("shop", []rhumb.AlertRule{rule("a", 0), rule("b", 0), rule("c", 0), urgent})
		a.SetRules("blog", []rhumb.AlertRule{rule("a", 0)})
		w.holds("a", "stack=shop service=web", "stack=blog service=web")
		time.Sleep(10 * time.Second)
		w.holds("b", "service=db")
		time.Sleep(50 * time.Second)
		w.expect("at first", "firing blog: a |  | ", "firing shop: a,b |  | ")
		w.holds("c", "service=db")
		time.Sleep(2 * time.Minute)
		w.expect("so soon after the first")
		w.holds("b")
		time.Sleep(5 * time.Minute)
		w.expect("when one joins and one is over", "firing shop: c | a | b")
		w.holds("urgent", "service=web")
		time.Sleep(time.Minute)
		w.expect("when a critical one joins", "firing shop: urgent | a,c | ")
		w.holds("a")
		w.holds("c")
		time.Sleep(time.Hour)
		w.expect("while one remains", "resolved blog:  |  | a")
		w.holds("urgent")
		time.Sleep(time.Minute)
		w.expect("at the end", "resolved shop:  |  | a,c,urgent")
	})
}

func TestOnlyCriticalAlertsAreRepeated(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		urgent := rule("urgent", 0)
		urgent.Severity = rhumb.SeverityCritical
		a.SetRules("shop", []rhumb.AlertRule{urgent})
		a.SetRules("blog", []rhumb.AlertRule{rule("slow", 0)})
		w.holds("urgent", "service=web")
		w.holds("slow", "service=web")
		time.Sleep(time.Minute)
		w.expect("at first", "firing blog: slow |  | ", "firing shop: urgent |  | ")
		time.Sleep(9 * time.Hour)
		w.expect("nine hours later", "still shop:  | urgent | ", "still shop:  | urgent | ")
	})
}

func TestADeploymentHoldsBackAlertsAboutReplicas(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		crash, errs := rule("crash", 0), rule("errors", 0)
		crash.Replicas = true
		a.SetRules("shop", []rhumb.AlertRule{crash, errs})
		d := rhumb.Deployment{ID: 5, Stack: "shop", Phase: rhumb.PhaseRolling, Started: time.Now(), To: 43, From: 42, By: "ada"}
		w.deployment("shop", &d)
		w.holds("crash", "service=web")
		time.Sleep(10 * time.Minute)
		w.expect("during a deployment")
		all, _ := a.Alerts(t.Context(), "shop")
		if len(all) != 1 || !all[0].Inhibited || all[0].State != rhumb.AlertFiring || all[0].Release != 42 ||
			all[0].Deployment != 5 {
			t.Errorf("it is %+v", all)
		}
		w.holds("errors", "service=web")
		time.Sleep(time.Minute)
		w.expect("what visitors get isn't held back", "firing shop: errors |  | ")
		ended := d
		ended.Phase, ended.Ended = rhumb.PhaseRolledBack, time.Now()
		w.deployment("shop", &ended)
		time.Sleep(150 * time.Second)
		w.expect("shortly after the verdict")
		time.Sleep(5 * time.Minute)
		w.expect("a while after the verdict", "firing shop: crash | errors | ")
		w.holds("crash")
		w.holds("errors")
		time.Sleep(time.Minute)
		w.expect("at the end", "resolved shop:  |  | crash,errors")

		ended.Phase, ended.Ended = rhumb.PhaseRolling, time.Time{}
		w.looked = 3 * time.Minute // the daemon has been away since
		w.holds("crash", "service=web")
		time.Sleep(time.Minute)
		w.expect("with a daemon that is away", "firing shop: crash |  | ")
	})
}

func TestWhatEndsBeforeTheVerdictIsNeverSent(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		crash := rule("crash", 0)
		crash.Replicas = true
		a.SetRules("shop", []rhumb.AlertRule{crash})
		d := rhumb.Deployment{ID: 5, Phase: rhumb.PhaseRolling}
		w.deployment("shop", &d)
		w.holds("crash", "service=web")
		time.Sleep(5 * time.Minute)
		ended := d
		ended.Phase, ended.Ended = rhumb.PhaseConverged, time.Now()
		w.deployment("shop", &ended)
		time.Sleep(30 * time.Second)
		w.holds("crash")
		time.Sleep(10 * time.Minute)
		w.expect("at the end")
	})
}

func TestARuleThatFailsKeepsItsAlerts(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		a.SetRules("shop", []rhumb.AlertRule{rule("slow", 0)})
		w.holds("slow", "service=web")
		time.Sleep(time.Minute)
		w.expect("at first", "firing shop: slow |  | ")
		w.fails("slow", errors.New("timed out"))
		time.Sleep(4 * time.Minute)
		w.expect("while it fails for a short time")
		time.Sleep(6 * time.Minute)
		w.expect("when it fails for longer", "firing shop: RuleFailed | slow | ")
		w.fails("slow", nil)
		w.holds("slow")
		time.Sleep(3 * time.Minute)
		w.expect("when it is evaluated again", "resolved shop:  |  | RuleFailed,slow")
	})
}

func TestARuleThatCannotBeReadIsReportedAtOnce(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		bad := rule("bad", 0)
		bad.At, bad.Service = "compose.yaml:7", "web"
		a.SetRules("shop", []rhumb.AlertRule{bad})
		w.fails("bad", rhumb.Errorf(rhumb.Invalid, "unexpected \x1b[31m end"))
		time.Sleep(time.Minute)
		w.expect("soon", "firing shop: RuleFailed |  | ")
		all, _ := a.Alerts(t.Context(), "shop")
		const want = "the rule bad (compose.yaml:7) can't be evaluated: unexpected [31m end"
		if len(all) != 1 || all[0].Text != want || all[0].Service != "web" {
			t.Errorf("it is %+v", all)
		}
		a.SetRules("shop", nil)
		time.Sleep(2 * time.Minute)
		w.expect("without the rule", "resolved shop:  |  | RuleFailed")
	})
}

func TestNothingIsResolvedWhileNothingIsMeasured(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		a.SetRules("shop", []rhumb.AlertRule{rule("slow", 0)})
		w.holds("slow", "service=web")
		time.Sleep(time.Minute)
		w.expect("at first", "firing shop: slow |  | ")
		w.measures(false)
		w.holds("slow")
		time.Sleep(4 * time.Minute)
		w.expect("a short time without samples")
		time.Sleep(3 * time.Minute)
		w.expect("longer", "firing : MeasuringStopped |  | ")
		w.measures(true)
		time.Sleep(90 * time.Second)
		w.expect("with samples again", "resolved :  |  | MeasuringStopped")
		time.Sleep(90 * time.Second)
		w.expect("when they can be believed", "resolved shop:  |  | slow")
	})
}

func TestAlertsOutliveTheProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, stop := w.run()
		a.SetRules("shop", []rhumb.AlertRule{rule("slow", 0), rule("later", 10*time.Minute)})
		w.holds("slow", "service=web")
		w.holds("later", "service=web")
		time.Sleep(8 * time.Minute)
		w.expect("at first", "firing shop: slow |  | ")
		if _, err := a.Silence(t.Context(), rhumb.Silence{Rule: "other", Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		stop()
		time.Sleep(20 * time.Minute)
		a, stop = w.run()
		time.Sleep(9 * time.Minute)
		w.expect("after a restart: the other has waited for nine minutes")
		if s, _ := a.Silences(t.Context()); len(s) != 1 {
			t.Errorf("silences: %+v", s)
		}
		time.Sleep(2 * time.Minute)
		w.expect("two minutes later", "firing shop: later | slow | ")
		stop()
		w.holds("slow")
		w.holds("later")
		time.Sleep(20 * time.Minute)
		_, stop = w.run()
		time.Sleep(time.Minute)
		w.expect("after another: what isn't measured yet isn't over")
		time.Sleep(2 * time.Minute)
		w.expect("then", "resolved shop:  |  | later,slow")
		stop()
	})
}

func TestSilencedAlertsAreNotSent(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		a.SetRules("shop", []rhumb.AlertRule{rule("slow", 0), rule("full", 0)})
		s, err := a.Silence(t.Context(), rhumb.Silence{Rule: "slow", Stack: "shop", Until: time.Now().Add(time.Hour), By: "ada"})
		if err != nil || s.ID == "" || s.Made.IsZero() || s.By != "ada" {
			t.Fatalf("the silence is %+v, %v", s, err)
		}
		w.holds("slow", "service=web")
		w.holds("full", "service=web")
		time.Sleep(30 * time.Minute)
		w.expect("during the silence", "firing shop: full |  | ")
		if all, _ := a.Alerts(t.Context(), ""); len(all) != 2 || all[0].Silence+all[1].Silence != s.ID {
			t.Errorf("they are %+v", all)
		}
		time.Sleep(time.Hour)
		w.expect("after it", "firing shop: slow | full | ")
		again, _ := a.Silence(t.Context(), rhumb.Silence{Stack: "shop", Until: time.Now().Add(time.Hour)})
		w.holds("slow")
		w.holds("full")
		time.Sleep(time.Minute)
		w.expect("what people know of is resolved", "resolved shop:  |  | full,slow")
		if err := a.RemoveSilence(t.Context(), again.ID); err != nil {
			t.Error(err)
		}
		if err := a.RemoveSilence(t.Context(), again.ID); rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Errorf("it is removed twice: %v", err)
		}
		for name, bad := range map[string]rhumb.Silence{
			"all":   {Until: time.Now().Add(time.Hour)},
			"open":  {Rule: "slow"},
			"ended": {Rule: "slow", Until: time.Now()},
			"long":  {Rule: "slow", Until: time.Now().Add(400 * 24 * time.Hour)},
			"wordy": {Rule: "slow", Until: time.Now().Add(time.Hour), Why: strings.Repeat("x", 501)},
		} {
			if _, err := a.Silence(t.Context(), bad); rhumb.ErrorCode(err) != rhumb.Invalid || rhumb.ErrorHint(err) == "" {
				t.Errorf("%s: %v", name, err)
			}
		}
		for range maxSilences {
			_, err = a.Silence(t.Context(), rhumb.Silence{Rule: "x", Until: time.Now().Add(time.Hour)})
		}
		if _, err = a.Silence(t.Context(), rhumb.Silence{Rule: "x", Until: time.Now().Add(time.Hour)}); err == nil {
			t.Error("there is no end of silences")
		}
	})
}

func TestTheNarrowestRuleOfANameCounts(t *testing.T) {
	shipped, _ := alertrule.ShippedRule("ErrorRatio")
	bubble(t, func(w *world, a *Alerts) {
		own := func(stack, service string, off bool) rhumb.AlertRule {
			return rhumb.AlertRule{Name: "ErrorRatio", Stack: stack, Service: service, Off: off, Expr: stack + service}
		}
		a.SetRules("shop", []rhumb.AlertRule{own("shop", "web", true), own("shop", "api", false)})
		a.SetRules("blog", []rhumb.AlertRule{own("blog", "", false), own("blog", "web", false)})
		w.holds(shipped.Expr, "stack=shop service=web", "stack=shop service=db", "stack=shop service=api",
			"stack=blog service=web", "stack=wiki service=web")
		w.holds("shopapi", "stack=shop service=api x=1", "stack=shop service=db x=1", "stack=wiki x=1", "x=2")
		w.holds("blog", "stack=blog service=db y=1", "stack=blog service=web y=1")
		time.Sleep(5 * time.Minute)
		all, err := a.Alerts(t.Context(), "")
		got := map[string]bool{}
		for _, alert := range all {
			got[alert.Stack+" "+alert.Service+" "+alert.Labels["x"]+alert.Labels["y"]] = true
		}
		for _, want := range []string{"shop db ", "shop api 1", "shop api 2", "blog db 1", "wiki web "} {
			if !got[want] {
				t.Errorf("there is no alert %q", want)
			}
		}
		if len(all) != 5 || err != nil {
			t.Errorf("they are %v, %v", got, err)
		}
		rules, _ := a.AlertRules(t.Context())
		if n := len(alertrule.Shipped()); len(rules) != n+4 || rules[n].Stack != "blog" || rules[0].Stack != "" {
			t.Errorf("%d rules", len(rules))
		}
	})
}

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
		time.Sleep(time.Minute)
		if all, _ := a.Alerts(t.Context(), ""); len(all) != maxAlerts {
			t.Errorf("%d alerts", len(all))
		}
		for _, r := range rules {
			w.holds(r.Name)
		}
		w.holds("r3", "service=a\x1b[31m\u202eb"+strings.Repeat("x", 9000))
		time.Sleep(5 * time.Minute)
		all, _ := a.Alerts(t.Context(), "")
		firing := 0
		for _, alert := range all {
			if alert.State == rhumb.AlertFiring {
				firing++
				if strings.ContainsAny(alert.Text+alert.Service, "\x1b\u202e") || len(alert.Text) > 600 || len(alert.Service) > 300 {
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
			time.Sleep(5 * time.Minute)
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
