package control

import (
	"errors"
	"testing"

	"rhumb"
	"rhumb/engine/enginefake"
)

func TestEverythingExternalThatIsMissingIsListedFirst(t *testing.T) {
	b := newBed(t)
	m := shop("web:1")
	m.Networks = append(m.Networks, rhumb.Network{Key: "far", Name: "far", External: true})
	m.Volumes = append(m.Volumes, rhumb.Volume{Key: "kept", Name: "kept", External: true})
	m.Files = []rhumb.File{{Kind: rhumb.FileSecret, Name: "token", External: "shop_token"},
		{Kind: rhumb.FileConfig, Name: "conf", External: "shop_conf"}}
	_, err := b.Deploy(t.Context(), rhumb.DeployRequest{Model: m, By: "test"}, nil)
	var all rhumb.Errors
	if !errors.As(err, &all) || len(all) != 4 || rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("error: %v", err)
	}
	if b.engine.Has(enginefake.ImageID("web:1")) {
		t.Error("an image was pulled")
	}
	if state, err := b.store.StackState(t.Context(), m.Name); err == nil && state.Current != 0 {
		t.Errorf("a release serves: %+v", state)
	}
	if h, err := b.engine.Holdings(t.Context(), m.Name); err != nil || len(h.Networks)+len(h.Volumes) != 0 {
		t.Errorf("made: %+v, %v", h, err)
	}
}
