package control

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/control/run"
	"rhumb/engine/enginefake"
)

// failing deploys a release of the shop whose web exits before it is ready.
func (b *bed) failing(image string) rhumb.Deployment {
	b.t.Helper()
	b.engine.Behave("web", image, enginefake.Behaviour{ExitAfter: time.Microsecond, ExitCode: 3})
	m := shop(image)
	m.Services[1].Ready.Timeout = time.Minute
	return b.deploy(m)
}

func TestAReleaseThatNeverServedCanBeRunByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		d := b.failing("web:1")
		if d.Phase != rhumb.PhaseRolledBack || !strings.HasSuffix(d.Failures[0].Hint,
			"rhumb run -p shop --release 1 web") {
			t.Fatalf("%s: %+v", d.Phase, d.Failures)
		}
		time.Sleep(2 * time.Hour) // images that no release needs are cleared meanwhile
		_, err := b.Run(t.Context(), "shop", "web", rhumb.ExecOptions{})
		if rhumb.ErrorCode(err) != rhumb.NotFound || !strings.Contains(rhumb.ErrorHint(err),
			"rhumb run -p shop --release 1 SERVICE") {
			t.Errorf("without a release: %v, hint %q", err, rhumb.ErrorHint(err))
		}
		if code, err := b.Run(t.Context(), "shop", "web", rhumb.ExecOptions{Release: 1}); code != 3 || err != nil {
			t.Errorf("release 1: %d, %v", code, err)
		}
		if !b.engine.Has(enginefake.ImageID("web:1")) {
			t.Error("its image is gone")
		}
		held, err := b.engine.Holdings(t.Context(), "shop")
		if err != nil || len(held.Networks) != 0 || !slices.Equal(held.Volumes, []string{"shop_db"}) {
			t.Errorf("left: %+v, %v", held, err)
		}
		if _, err := b.Run(t.Context(), "shop", "web",
			rhumb.ExecOptions{Release: 7}); rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Errorf("a release that isn't there: %v", err)
		}
	})
}

func TestARunOfAnotherReleaseLeavesTheServingOneAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		b.engine.Behave("web", "web:2", enginefake.Behaviour{ExitAfter: time.Microsecond, ExitCode: 3})
		m := shop("web:2")
		m.Networks = append(m.Networks, rhumb.Network{Key: "back", Name: "shop_back"})
		m.Services[1].Container.Networks = append(slices.Clone(m.Services[1].Container.Networks),
			rhumb.Attachment{Network: "shop_back"})
		m.Services[1].Ready.Timeout = time.Hour
		if d := b.deploy(m); d.Phase != rhumb.PhaseRolledBack {
			t.Fatalf("got %s", d.Phase)
		}
		b.engine.Behave("web", "web:2", enginefake.Behaviour{ExitAfter: 3 * run.LookEvery, ExitCode: 3})
		done := make(chan error, 1)
		go func() {
			code, err := b.Run(context.Background(), "shop", "web", rhumb.ExecOptions{Release: 2})
			if code != 3 {
				t.Errorf("it ends with %d", code)
			}
			done <- err
		}()
		time.Sleep(2 * run.LookEvery) // the runner looks meanwhile
		if held, err := b.engine.Holdings(t.Context(), "shop"); err != nil ||
			!slices.Equal(held.Networks, []string{"shop_back", "shop_default"}) {
			t.Errorf("meanwhile: %+v, %v", held, err)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
		if held, err := b.engine.Holdings(t.Context(), "shop"); err != nil ||
			!slices.Equal(held.Networks, []string{"shop_default"}) {
			t.Errorf("afterwards: %+v, %v", held, err)
		}
		b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
		b.wantRouted("shop-web.1.1", "shop-web.1.2")
	})
}

func TestOfReleasesThatNeverServedTheLastFewAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		for _, image := range []string{"web:2", "web:3", "web:4", "web:5"} {
			b.failing(image)
		}
		var kept []int
		b.eventually(func() bool {
			list, err := b.Releases(t.Context(), "shop")
			kept = nil
			for _, r := range list {
				kept = append(kept, r.Number)
			}
			return err == nil && slices.Equal(kept, []int{5, 4, 3, 1})
		})
		for image, want := range map[string]bool{"web:1": true, "web:2": false, "web:3": true, "web:5": true} {
			if b.engine.Has(enginefake.ImageID(image)) != want {
				t.Errorf("%s is there: %t", image, !want)
			}
		}
	})
}
