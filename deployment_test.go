package rhumb

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEveryPairOfPhasesIsAllowedOrRefused(t *testing.T) {
	for _, from := range Phases() {
		for _, to := range Phases() {
			d := Deployment{Stack: "shop", Phase: from}
			err := d.Move(to, time.Unix(1, 0), "because")
			if allowed := slices.Contains(next[from], to); allowed != (err == nil) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
			if err != nil && d.Phase != from {
				t.Errorf("%s to %s: refused, but the phase is %s", from, to, d.Phase)
			}
			if err == nil && to.Ended() != !d.Ended.IsZero() {
				t.Errorf("%s to %s: ended at %v", from, to, d.Ended)
			}
		}
	}
}

func TestEveryEndHasAVerdictOfItsOwn(t *testing.T) {
	texts := map[string]Phase{}
	for _, p := range Phases() {
		d := Deployment{
			Stack: "shop", From: 41, To: 42, Phase: p,
			Why: "web.1 exited with 1", Left: []string{"shop-web.41.1: exited with 1"},
		}
		v := d.Verdict()
		if old, ok := texts[v.Text]; ok {
			t.Errorf("%s and %s have one verdict: %s", old, p, v.Text)
		}
		texts[v.Text] = p
		if (v.Exit == ExitConverged) != (p == PhaseConverged) {
			t.Errorf("%s exits with %d", p, v.Exit)
		}
		if !p.Ended() && v.Exit != ExitTimeout {
			t.Errorf("%s goes on, and exits with %d", p, v.Exit)
		}
	}
}

func TestAVerdictNamesWhatWasNotServed(t *testing.T) {
	d := Deployment{
		Stack: "shop", From: 41, To: 42, Phase: PhaseConverged, Unserved: map[string]uint64{"web": 241, "api": 1},
		Failures: []Failure{
			{Service: "web", Release: 42, Ended: true},
			{Service: "web", Release: 42, Ended: true},
			{Service: "web", Release: 41, Ended: true},
		},
	}
	want := "converged: shop@42 serves; web had ended twice before it was ready; " +
		"meanwhile 1 connection or request to api wasn't served; meanwhile 241 connections or requests to web weren't served"
	if v := d.Verdict(); v.Text != want || v.Exit != ExitConverged {
		t.Errorf("%d: %s", v.Exit, v.Text)
	}
}

func TestAVerdictNamesWhatRemains(t *testing.T) {
	d := Deployment{
		Stack: "shop", From: 41, To: 42, Phase: PhaseRolledBack, Why: "web.1 exited with 1", Jobs: []string{"migrate"},
	}
	v := d.Verdict()
	for _, want := range []string{
		"shop@41 serves", "web.1 exited with 1", "migrate of shop@42 had completed", "data remains",
	} {
		if !strings.Contains(v.Text, want) {
			t.Errorf("%q isn't in %q", want, v.Text)
		}
	}
	d.Loose = []string{"./code", "./data"}
	const mounted = "bind-mounted and not part of a release: the content stays as it is"
	if v := d.Verdict(); !strings.HasSuffix(v.Text, "; ./code, ./data are "+mounted) {
		t.Errorf("with mounted folders: %s", v.Text)
	}
	back := Deployment{Stack: "shop", From: 42, To: 41, Phase: PhaseConverged, Cause: CauseRollback, Loose: []string{"."}}
	if v := back.Verdict(); v.Text != "converged: shop@41 serves; . is "+mounted {
		t.Errorf("a rollback: %s", v.Text)
	}
	d.Cancel = true
	if v := d.Verdict(); v.Exit != ExitCancelled || !strings.HasPrefix(v.Text, "cancelled") {
		t.Errorf("cancelled: %+v", v)
	}
}
