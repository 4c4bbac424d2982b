package release

import (
	"testing"

	"rhumb"
)

func TestAHooksImageIsPulledAsTheHookSays(t *testing.T) {
	web := rhumb.Service{Name: "web", Pull: rhumb.PullNever, Container: rhumb.Container{Image: "web:1"}}
	web.PreStart = []rhumb.PreStart{
		{Number: 1, Pull: rhumb.PullAlways, Container: rhumb.Container{Image: "tools"}},
		{Number: 2, Container: rhumb.Container{Image: "tools"}}, // in releases made before hooks had a pull policy
	}
	m := rhumb.Stack{Services: []rhumb.Service{web}}
	list := allImaged(&m)
	if len(list) != 3 || list[1].pull != rhumb.PullAlways || list[2].pull != rhumb.PullNever {
		t.Errorf("%+v", list)
	}
}
