package release

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
	"rhumb/engine/enginefake"
)

// world is an engine that can have every network and volume, and finds every image.
type world struct{ *enginefake.Engine }

func (world) Resolve(_ context.Context, r rhumb.ImageRequest, _ func(rhumb.ImageProgress)) (rhumb.Image, error) {
	return rhumb.Image{
		Ref: r.Ref, ID: "sha256:" + r.Ref, Ports: []string{"8000/tcp"}, Volumes: []string{"/data"},
		Health: &rhumb.Healthcheck{Test: []string{"CMD", "check"}},
	}, nil
}

// newMaker returns a Maker of a server on which a release serves; nil: none does.
func newMaker(t *testing.T, current *rhumb.Release) *Maker {
	h := newHarbour(t)
	h.store.values["token"] = "abc"
	engine := world{enginefake.New(time.Now)}
	h.Engine, h.Images, h.Key = engine, engine, []byte("key")
	h.Current = func(context.Context, string) (*rhumb.Release, error) { return current, nil }
	return h.Maker
}

// full returns a model that has all that Make writes to.
func full() rhumb.Stack {
	container := func() rhumb.Container {
		return rhumb.Container{
			Networks: []rhumb.Attachment{{Network: "shop_default"}},
			Mounts:   []rhumb.Mount{{Type: rhumb.MountFile, Kind: rhumb.FileSecret, Source: "token", Target: "/token"}},
		}
	}
	web := rhumb.Service{
		Name: "web", Replicas: 2, Order: rhumb.StartFirst, Update: rhumb.Policy{Parallelism: 1}, Hold: rhumb.UsualHold,
		Container: container(), Ports: anyPort(80), Routes: []rhumb.Route{{Host: "a.test"}},
		PreStart:  []rhumb.PreStart{{Number: 2, Container: container()}},
		DependsOn: []rhumb.Dependency{{Service: "db", Restart: true}},
	}
	web.Container.Image = "web:1"
	web.Container.Health = &rhumb.Healthcheck{Interval: time.Second}
	web.Container.RestartOn = map[string]string{"gone": "1"}
	routed := rhumb.Service{Name: "routed", Routes: []rhumb.Route{{Host: "b.test"}}}
	routed.Container.Image = "web:1"
	hook := rhumb.Service{Name: rhumb.HookService("web", 1), Job: true}
	db := rhumb.Service{Name: "db", Replicas: 1, Container: rhumb.Container{Image: "db:1"}}
	return rhumb.Stack{
		Name: "shop", Services: []rhumb.Service{web, routed, hook, db},
		Files: []rhumb.File{{Kind: rhumb.FileSecret, Name: "token", External: "token"}},
		Networks: []rhumb.Network{
			{Key: "default", Name: "shop_default", Internal: true},
			{Key: "back", Name: "shop_back", Labels: map[string]string{"a": "new"}},
		},
		Volumes: []rhumb.Volume{{Key: "data", Name: "shop_data", Labels: map[string]string{"a": "new"}}},
		Notes:   append(make([]rhumb.Note, 0, 8), rhumb.Note{Subject: "services.web.links"}), // with room behind it
	}
}

// before returns the release that serves before full is deployed.
func before() *rhumb.Release {
	return &rhumb.Release{ReleaseInfo: rhumb.ReleaseInfo{Number: 1}, Model: rhumb.Stack{
		Name: "shop",
		Networks: []rhumb.Network{
			{Key: "default", Name: "shop_default"},
			{Key: "back", Name: "shop_back", Labels: map[string]string{"a": "old"}},
		},
		Volumes: []rhumb.Volume{{Key: "data", Name: "shop_data", Labels: map[string]string{"a": "old"}}},
	}}
}

func TestMakeDoesNotModifyTheModelThatItReads(t *testing.T) {
	current := before()
	r := rhumb.DeployRequest{Model: full(), Strategy: rhumb.StrategyRecreate}
	k := newMaker(t, current)
	k.Store.(*memory).releases["shop"] = []rhumb.Release{*current}
	rel, err := k.Make(t.Context(), r, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), r.Model); diff != "" {
		t.Errorf("the request's model (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(full().Notes[:8], r.Model.Notes[:8]); diff != "" {
		t.Errorf("behind the request's notes (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(before(), current); diff != "" {
		t.Errorf("the current release (-before +after):\n%s", diff)
	}
	for name, field := range map[string]func(m *rhumb.Stack) any{
		"contents":         func(m *rhumb.Stack) any { return m.Files[0].Content },
		"hashes of files":  func(m *rhumb.Stack) any { return m.Files[0].Hash },
		"network names":    func(m *rhumb.Stack) any { return m.Networks[0].Name },
		"network labels":   func(m *rhumb.Stack) any { return m.Networks[1].Labels },
		"volume labels":    func(m *rhumb.Stack) any { return m.Volumes[0].Labels },
		"notes":            func(m *rhumb.Stack) any { return m.Notes },
		"hashes of mounts": func(m *rhumb.Stack) any { return m.Service("web").Container.Mounts },
		"joined networks":  func(m *rhumb.Stack) any { return m.Service("web").Container.Networks },
		"health checks":    func(m *rhumb.Stack) any { return m.Service("web").Container.Health },
		"links":            func(m *rhumb.Stack) any { return m.Service("web").Container.RestartOn },
		"host ports":       func(m *rhumb.Stack) any { return m.Service("web").Ports },
		"ports of routes":  func(m *rhumb.Stack) any { return m.Service("routed").Routes },
		"readiness":        func(m *rhumb.Stack) any { return m.Service("web").Ready },
		"hold":             func(m *rhumb.Stack) any { return m.Service("web").Hold },
		"strategy":         func(m *rhumb.Stack) any { return m.Service("web").Strategy },
		"order":            func(m *rhumb.Stack) any { return m.Service("db").Order },
		"a hook's image":   func(m *rhumb.Stack) any { return m.Services[2].Container.Image },
		"a hook's mounts":  func(m *rhumb.Stack) any { return m.Service("web").PreStart[0].Container.Mounts },
		"a hook's network": func(m *rhumb.Stack) any { return m.Service("web").PreStart[0].Container.Networks },
		"a hook's own ID":  func(m *rhumb.Stack) any { return m.Service("web").PreStart[0].Container.ImageID },
	} {
		m := full()
		if cmp.Equal(field(&m), field(&rel.Model)) {
			t.Errorf("%s: Make wrote nothing, so this test proves nothing about it", name)
		}
	}
}

func TestAChangeDoesNotModifyTheCurrentRelease(t *testing.T) {
	for _, r := range []rhumb.ChangeRequest{
		{Cause: rhumb.CauseScale, Scale: map[string]int{"web": 5}}, {Cause: rhumb.CauseRestart},
	} {
		cur := shop()
		if _, err := Change(cur, r); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(shop().Model, cur.Model); diff != "" {
			t.Errorf("after %s (-before +after):\n%s", r.Cause, diff)
		}
	}
}

func TestARequestedStrategyOverridesTheFiles(t *testing.T) {
	for _, c := range []struct{ file, request, want rhumb.Strategy }{
		{"", "", ""},
		{rhumb.StrategyRecreate, "", rhumb.StrategyRecreate},
		{rhumb.StrategyRolling, rhumb.StrategyRecreate, rhumb.StrategyRecreate},
		{rhumb.StrategyRecreate, rhumb.StrategyRolling, rhumb.StrategyRolling},
	} {
		r := rhumb.DeployRequest{Model: full(), Strategy: c.request}
		r.Model.Service("web").Strategy = c.file
		// The image declares a volume on /data: with its own mount there, web can be start-first.
		r.Model.Service("web").Container.Mounts[0].Target = "/data"
		rel, err := newMaker(t, nil).Make(t.Context(), r, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := rel.Model.Service("web")
		if got.Strategy != c.want {
			t.Errorf("file %q, request %q: the release has %q", c.file, c.request, got.Strategy)
		}
		order, parallelism := rhumb.StartFirst, 1
		if c.want == rhumb.StrategyRecreate {
			order, parallelism = rhumb.StopFirst, 0
		}
		if a := got.Applied(); a.Order != order || a.Update.Parallelism != parallelism {
			t.Errorf("file %q, request %q: %s, %d at a time", c.file, c.request, a.Order, a.Update.Parallelism)
		}
	}
}

func TestAReleaseKeepsTheStrategyAsWritten(t *testing.T) {
	r := rhumb.DeployRequest{Model: full(), Strategy: rhumb.StrategyRecreate}
	rel, err := newMaker(t, nil).Make(t.Context(), r, true, nil)
	if err != nil {
		t.Fatal(err)
	}
	written := full()
	want, got := written.Service("web"), rel.Model.Service("web")
	if got.Strategy != rhumb.StrategyRecreate || got.Update != want.Update {
		t.Errorf("the release has the strategy %q and the policy %+v", got.Strategy, got.Update)
	}
	applied := got.Applied()
	if applied.Order != rhumb.StopFirst || applied.Update.Parallelism != 0 || got.Hold != got.Gap() {
		t.Errorf("it comes to %s, %d at a time, with a hold of %s", applied.Order, applied.Update.Parallelism, got.Hold)
	}
	next, err := Change(rel, rhumb.ChangeRequest{Cause: rhumb.CauseScale, Scale: map[string]int{"web": 3}})
	if err != nil || next.Model.Service("web").Strategy != rhumb.StrategyRecreate {
		t.Errorf("scaled, it has another strategy: %+v, %v", next, err)
	}
}

func TestAnErrorListsAllThatAReleaseLacks(t *testing.T) {
	m := full()
	m.Files = append(m.Files, rhumb.File{Kind: rhumb.FileSecret, Name: "pin", External: "pin"})
	m.Volumes = append(m.Volumes, rhumb.Volume{Key: "old", Name: "old", External: true})
	_, err := newMaker(t, nil).Make(t.Context(), rhumb.DeployRequest{Model: m}, false, nil)
	var all rhumb.Errors
	if !errors.As(err, &all) || len(all) != 2 || rhumb.ErrorCode(all[0]) != rhumb.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestServicesThatDependOnOneAnotherAreRefused(t *testing.T) {
	m := rhumb.Stack{Services: []rhumb.Service{
		{Name: "a", DependsOn: []rhumb.Dependency{{Service: "b"}}},
		{Name: "b", DependsOn: []rhumb.Dependency{{Service: "c"}, {Service: "a"}}},
		{Name: "c"},
	}}
	err := linkServices(&m)
	if rhumb.ErrorCode(err) != rhumb.Invalid || err.Error() != "services depend on one another: a -> b -> a" {
		t.Errorf("got %v", err)
	}
}
