package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

// impatient is a shop whose web exits while the database isn't ready yet.
func impatient(b *bed) rhumb.Stack {
	b.engine.Behave("web", "web:1", enginefake.Behaviour{ExitAfter: time.Second, ExitCode: 1})
	m := shop("web:1")
	web := m.Service("web")
	web.Ready.Timeout, web.Replicas = 5*time.Second, 1
	web.DependsOn = []rhumb.Dependency{{Service: "db", Condition: rhumb.DependsStarted}}
	return m
}

func TestAFirstDeploymentStartsWhatExitsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		d, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: impatient(b)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * time.Second)
		b.engine.Behave("web", "web:1", enginefake.Behaviour{})
		if d = b.ends(d); d.Phase != rhumb.PhaseConverged || len(d.Failures) == 0 || len(d.Failures) > 3 {
			t.Fatalf("%s with %d failures: %s", d.Phase, len(d.Failures), d.Why)
		}
		if v := d.Verdict().Text; !strings.Contains(v, "web had ended ") || !strings.HasSuffix(v, " before it was ready") {
			t.Errorf("the verdict: %s", v)
		}
		if hint := d.Failures[0].Hint; !strings.Contains(hint, "db may not have been ready") {
			t.Errorf("the card doesn't name the dependency: %s", hint)
		}
	})
}

func TestAFirstDeploymentThatNeverComesUpEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, began := newBed(t), time.Now()
		d := b.deploy(impatient(b))
		took := time.Since(began)
		if d.Phase != rhumb.PhaseRolledBack || took < rhumb.ReadyTimeout || took > 2*rhumb.ReadyTimeout {
			t.Errorf("%s after %s: %s", d.Phase, took, d.Why)
		}
		if n := len(d.Failures); n < 4 || n > 8 { // 1, 2, 4, 8, 16 and 32 s lie between the tries
			t.Errorf("it was tried %d times", n)
		}
	})
}
