package control

import (
	"strings"
	"testing"

	"rhumb"
)

func TestWhatTheEngineIsTooOldForIsRefusedFirst(t *testing.T) {
	b := newBed(t)
	m := rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web", Replicas: 1,
		Container: rhumb.Container{Image: "web:1", Annotations: map[string]string{"a": "b"}}}}}
	b.engine.SetAPI("1.41")
	_, planned := b.Plan(t.Context(), rhumb.DeployRequest{Model: m})
	_, deployed := b.Deploy(t.Context(), rhumb.DeployRequest{Model: m}, nil)
	for what, err := range map[string]error{"plan": planned, "deploy": deployed} {
		if rhumb.ErrorCode(err) != rhumb.Unsupported ||
			!strings.HasPrefix(err.Error(), "service web: annotations needs Docker Engine 24 or newer") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if all, err := b.store.Releases(t.Context(), "shop"); err != nil || len(all) > 0 {
		t.Errorf("releases: %v, %v", all, err)
	}
	b.engine.SetAPI("1.43")
	if _, err := b.Plan(t.Context(), rhumb.DeployRequest{Model: m}); err != nil {
		t.Errorf("a newer engine: %v", err)
	}
}
