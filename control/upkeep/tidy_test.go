package upkeep

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
	"rhumb/sqlite/storetest"
)

func TestALateTidyLeavesTheNextDeploymentItsImages(t *testing.T) {
	store := storetest.Open(t)
	engine := enginefake.New(time.Now)
	log := slog.New(slog.DiscardHandler)
	c := New(Deps{Images: engine, Store: store, Log: log, Keep: 10, Forget: func(string, ...int) {}})
	begin := func(ref string) rhumb.Deployment {
		t.Helper()
		img, err := engine.Resolve(t.Context(), rhumb.ImageRequest{Ref: ref}, nil)
		if err != nil {
			t.Fatal(err)
		}
		images := map[string]rhumb.Image{"web": img}
		rel := rhumb.Release{ReleaseInfo: rhumb.ReleaseInfo{Images: images}, Model: rhumb.Stack{Name: "shop"}}
		d, err := store.Begin(t.Context(), &rel, rhumb.Deployment{Stack: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		c.KeepImages(t.Context(), "shop", d.To, images)
		return d
	}
	d := begin("web:1")
	if err := d.Move(rhumb.PhaseConverged, time.Now(), ""); err != nil {
		t.Fatal(err)
	}
	d, err := store.Save(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	begin("web:2")
	c.Tidy(t.Context(), d)
	want := []string{"rhumb.local/shop-web:1", "rhumb.local/shop-web:2"}
	if kept := engine.Kept(); !slices.Equal(kept, want) || !engine.Has(enginefake.ImageID("web:2")) {
		t.Errorf("kept: %q", kept)
	}
}
