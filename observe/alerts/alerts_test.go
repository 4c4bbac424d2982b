package alerts

import (
	"errors"
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
		w.passes(5 * time.Minute)
		w.expect("before its time")
		if all, _ := a.Alerts(t.Context(), ""); len(all) != 1 || all[0].State != rhumb.AlertPending {
			t.Errorf("it is %+v", all)
		}
		w.passes(45 * time.Second)
		w.expect("after its time", "firing shop: slow |  | ")
		w.holds("slow")
		w.passes(100 * time.Second)
		w.holds("slow", "service=web") // it flaps
		w.passes(10 * time.Minute)
		w.expect("while it is kept")
		w.holds("slow")
		w.passes(100 * time.Second)
		w.expect("when it is over for a short time")
		w.passes(time.Minute)
		w.expect("when it is over", "resolved shop:  |  | slow")
		all, _ := a.Alerts(t.Context(), "shop")
		if len(all) != 1 || all[0].State != rhumb.AlertResolved || all[0].Since.Sub(began) > time.Minute ||
			all[0].Text != "slow of web" || all[0].Stack != "shop" || all[0].Service != "web" || all[0].Value != 7 {
			t.Errorf("it is %+v", all)
		}
		w.passes(25 * time.Hour)
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
			w.passes(100 * time.Second)
			w.holds("slow")
			w.passes(30 * time.Second)
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
		w.passes(10 * time.Second)
		w.holds("b", "service=db")
		w.passes(50 * time.Second)
		w.expect("at first", "firing blog: a |  | ", "firing shop: a,b |  | ")
		w.holds("c", "service=db")
		w.passes(2 * time.Minute)
		w.expect("so soon after the first")
		w.holds("b")
		w.passes(5 * time.Minute)
		w.expect("when one joins and one is over", "firing shop: c | a | b")
		w.holds("urgent", "service=web")
		w.passes(time.Minute)
		w.expect("when a critical one joins", "firing shop: urgent | a,c | ")
		w.holds("a")
		w.holds("c")
		w.passes(time.Hour)
		w.expect("while one remains", "resolved blog:  |  | a")
		w.holds("urgent")
		w.passes(time.Minute)
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
		w.passes(time.Minute)
		w.expect("at first", "firing blog: slow |  | ", "firing shop: urgent |  | ")
		w.passes(9 * time.Hour)
		w.expect("nine hours later", "still shop:  | urgent | ", "still shop:  | urgent | ")
	})
}

func TestADeploymentHoldsBackAlertsAboutReplicas(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		crash, errs := rule("crash", 0), rule("errors", 0)
		crash.Replicas = true
		a.SetRules("shop", []rhumb.AlertRule{crash, errs})
		d := rhumb.Deployment{ID: 5, Stack: "shop", Phase: rhumb.PhaseRolling, Started: time.Now(), To: 43, From: 42,
			By: "ada"}
		w.deployment("shop", &d)
		w.holds("crash", "service=web")
		w.passes(10 * time.Minute)
		w.expect("during a deployment")
		all, _ := a.Alerts(t.Context(), "shop")
		if len(all) != 1 || !all[0].Inhibited || all[0].State != rhumb.AlertFiring || all[0].Release != 42 ||
			all[0].Deployment != 5 {
			t.Errorf("it is %+v", all)
		}
		w.holds("errors", "service=web")
		w.passes(time.Minute)
		w.expect("what visitors get isn't held back", "firing shop: errors |  | ")
		ended := d
		ended.Phase, ended.Ended = rhumb.PhaseRolledBack, time.Now()
		w.deployment("shop", &ended)
		w.passes(150 * time.Second)
		w.expect("shortly after the verdict")
		w.passes(5 * time.Minute)
		w.expect("a while after the verdict", "firing shop: crash | errors | ")
		w.holds("crash")
		w.holds("errors")
		w.passes(time.Minute)
		w.expect("at the end", "resolved shop:  |  | crash,errors")

		ended.Phase, ended.Ended = rhumb.PhaseRolling, time.Time{}
		w.looked = 3 * time.Minute // the daemon has been away since
		w.holds("crash", "service=web")
		w.passes(time.Minute)
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
		w.passes(5 * time.Minute)
		ended := d
		ended.Phase, ended.Ended = rhumb.PhaseConverged, time.Now()
		w.deployment("shop", &ended)
		w.passes(30 * time.Second)
		w.holds("crash")
		w.passes(10 * time.Minute)
		w.expect("at the end")
	})
}

func TestARuleThatFailsKeepsItsAlerts(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		a.SetRules("shop", []rhumb.AlertRule{rule("slow", 0)})
		w.holds("slow", "service=web")
		w.passes(time.Minute)
		w.expect("at first", "firing shop: slow |  | ")
		w.fails("slow", errors.New("timed out"))
		w.passes(4 * time.Minute)
		w.expect("while it fails for a short time")
		w.passes(6 * time.Minute)
		w.expect("when it fails for longer", "firing shop: RuleFailed | slow | ")
		w.fails("slow", nil)
		w.holds("slow")
		w.passes(3 * time.Minute)
		w.expect("when it is evaluated again", "resolved shop:  |  | RuleFailed,slow")
	})
}

func TestARuleThatCannotBeReadIsReportedAtOnce(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		bad := rule("bad", 0)
		bad.At, bad.Service = "compose.yaml:7", "web"
		a.SetRules("shop", []rhumb.AlertRule{bad})
		w.fails("bad", rhumb.Errorf(rhumb.Invalid, "unexpected \x1b[31m end"))
		w.passes(time.Minute)
		w.expect("soon", "firing shop: RuleFailed |  | ")
		all, _ := a.Alerts(t.Context(), "shop")
		const want = "the rule bad (compose.yaml:7) can't be evaluated: unexpected [31m end"
		if len(all) != 1 || all[0].Text != want || all[0].Service != "web" {
			t.Errorf("it is %+v", all)
		}
		a.SetRules("shop", nil)
		w.passes(2 * time.Minute)
		w.expect("without the rule", "resolved shop:  |  | RuleFailed")
	})
}

func TestNothingIsResolvedWhileNothingIsMeasured(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		a.SetRules("shop", []rhumb.AlertRule{rule("slow", 0)})
		w.holds("slow", "service=web")
		w.passes(time.Minute)
		w.expect("at first", "firing shop: slow |  | ")
		w.measures(false)
		w.holds("slow")
		w.passes(4 * time.Minute)
		w.expect("a short time without samples")
		w.passes(3 * time.Minute)
		w.expect("longer", "firing : MeasuringStopped |  | ")
		w.measures(true)
		w.passes(90 * time.Second)
		w.expect("with samples again", "resolved :  |  | MeasuringStopped")
		w.passes(90 * time.Second)
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
		w.passes(8 * time.Minute)
		w.expect("at first", "firing shop: slow |  | ")
		if _, err := a.Silence(t.Context(), rhumb.Silence{Rule: "other", Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		stop()
		w.passes(20 * time.Minute)
		a, stop = w.run()
		w.passes(9 * time.Minute)
		w.expect("after a restart: the other has waited for nine minutes")
		if s, _ := a.Silences(t.Context()); len(s) != 1 {
			t.Errorf("silences: %+v", s)
		}
		w.passes(2 * time.Minute)
		w.expect("two minutes later", "firing shop: later | slow | ")
		stop()
		w.holds("slow")
		w.holds("later")
		w.passes(20 * time.Minute)
		_, stop = w.run()
		w.passes(time.Minute)
		w.expect("after another: what isn't measured yet isn't over")
		w.passes(2 * time.Minute)
		w.expect("then", "resolved shop:  |  | later,slow")
		stop()
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
		w.passes(5 * time.Minute)
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
