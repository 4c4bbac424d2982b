package oneoff

import (
	"testing"

	"rhumb"
)

func TestAHookCanBeRunByHand(t *testing.T) {
	m := rhumb.Stack{Services: []rhumb.Service{{Name: "db"}, {Name: "web"}}}
	m.Services[1].PreStart = []rhumb.PreStart{{Number: 2, Container: rhumb.Container{Image: "tool"}}}
	if s := Service(&m, "web.pre_start.2"); s == nil || s.Container.Image != "tool" || s.Name != "web" {
		t.Errorf("got %+v", s)
	}
	if Service(&m, "web.pre_start.1") != nil || Service(&m, "nope") != nil {
		t.Error("a service that doesn't exist is found")
	}
}
