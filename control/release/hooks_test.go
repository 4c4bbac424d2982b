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

func TestAMountedImageIsFoundBesideTheServicesOwn(t *testing.T) {
	tools := []rhumb.Mount{{Type: rhumb.MountImage, Source: "tools:1", Target: "/tools"}}
	m := rhumb.Stack{Services: []rhumb.Service{{Name: "web", Build: &rhumb.Build{}, Pull: rhumb.PullBuild,
		Container: rhumb.Container{Image: "web:1", Platform: "linux/arm64", Mounts: tools}}}}
	list := allImaged(&m)
	if len(list) != 2 || list[1].name != "web:/tools" || list[1].container.Image != "tools:1" ||
		list[1].container.Platform != "linux/arm64" || list[1].pull != rhumb.PullMissing || list[1].built {
		t.Fatalf("%+v", list)
	}
	applyMounts("web", &m.Services[0].Container, map[string]rhumb.Image{"web:/tools": {ID: "sha256:1"}})
	if tools[0].ImageID != "sha256:1" {
		t.Errorf("%+v", tools)
	}
}
