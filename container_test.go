package rhumb

import (
	"encoding/json"
	"testing"
)

func TestTheSameImageUnderAnotherNameIsNoChange(t *testing.T) {
	a := Container{Image: "web:1", ImageID: "sha256:1"}
	b := Container{Image: "web:2", ImageID: "sha256:1"}
	if a.Hash() != b.Hash() {
		t.Error("the hashes differ")
	}
	b.ImageID = "sha256:2"
	if a.Hash() == b.Hash() {
		t.Error("another image has the same hash")
	}
}

func TestZeroFieldsLeaveTheHashAsItIs(t *testing.T) {
	b, err := json.Marshal(&Container{})
	if err != nil || string(b) != "{}" {
		t.Errorf("a new field without omitzero changes every hash: %s, %v", b, err)
	}
}
