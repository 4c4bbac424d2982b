package alerts

import (
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestSilencedAlertsAreNotSent(t *testing.T) {
	bubble(t, func(w *world, a *Alerts) {
		a.SetRules("shop", []rhumb.AlertRule{rule("slow", 0), rule("full", 0)})
		s, err := a.Silence(t.Context(),
			rhumb.Silence{Rule: "slow", Stack: "shop", Until: time.Now().Add(time.Hour), By: "ada"})
		if err != nil || s.ID == "" || s.Made.IsZero() || s.By != "ada" {
			t.Fatalf("the silence is %+v, %v", s, err)
		}
		w.holds("slow", "service=web")
		w.holds("full", "service=web")
		w.passes(30 * time.Minute)
		w.expect("during the silence", "firing shop: full |  | ")
		if all, _ := a.Alerts(t.Context(), ""); len(all) != 2 || all[0].Silence+all[1].Silence != s.ID {
			t.Errorf("they are %+v", all)
		}
		w.passes(time.Hour)
		w.expect("after it", "firing shop: slow | full | ")
		again, _ := a.Silence(t.Context(), rhumb.Silence{Stack: "shop", Until: time.Now().Add(time.Hour)})
		w.holds("slow")
		w.holds("full")
		w.passes(time.Minute)
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
		a.mu.Lock() // making each of them would write the file each time
		for range maxSilences {
			a.book.state.Silences = append(a.book.state.Silences, rhumb.Silence{ID: "x", Rule: "x",
				Until: time.Now().Add(time.Hour)})
		}
		a.mu.Unlock()
		if _, err := a.Silence(t.Context(), rhumb.Silence{Rule: "x", Until: time.Now().Add(time.Hour)}); err == nil {
			t.Error("there is no end of silences")
		}
	})
}
