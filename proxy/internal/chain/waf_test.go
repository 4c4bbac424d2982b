package chain

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"rhumb"
)

func TestExclusionsAddUpByPath(t *testing.T) {
	c := chained(t, rhumb.RouteOptions{WAF: &rhumb.WAF{Mode: rhumb.WAFBlock, Paranoia: 1, Score: 5, Body: 7,
		Exclude: []rhumb.WAFExclusion{{Rules: []int{1}}, {Path: "/a", Rules: []int{2}}, {Path: "/a/b", Rules: []int{3}},
			{Path: "/off"}}}}, nil)
	for path, want := range map[string][]int{"/": {1}, "/a": {1, 2}, "/a/": {1, 2}, "/a/b/c": {1, 2, 3}, "/ab": {1},
		"/a/../b": {1}, "//a": {1}, "/a//b": {1}, "/a;x": {1}, "/a\\b": {1}, "/off/..": {1}, "/off;": {1}} {
		if body, without, ok := c.Look(path); !ok || body != 7 || !slices.Equal(without, want) {
			t.Errorf("%q: without %v, want %v (%d, %t)", path, without, want, body, ok)
		}
	}
	for _, path := range []string{"/off", "/off/", "/off/x"} {
		if _, _, ok := c.Look(path); ok {
			t.Errorf("%q is looked at", path)
		}
	}
	var none *Chain
	if _, _, ok := none.Look("/"); ok || none.Looks() {
		t.Error("a route without options is looked at")
	}
}

func TestARulingFollowsTheModeOfTheRoute(t *testing.T) {
	attack := rhumb.Finding{Attack: true, Score: 5, Rules: []rhumb.WAFMatch{{ID: 942100, Text: "SQL", Where: "ARGS:q"}}}
	for _, c := range []struct {
		what   string
		f      rhumb.Finding
		err    error
		part   bool
		detect string // the word of the ruling
		block  string
		status string // of block
	}{
		{"nothing", rhumb.Finding{Score: 3}, nil, false, "", "", ""},
		{"an attack", attack, nil, false, Detected, Blocked, "refused"},
		{"a part", rhumb.Finding{}, nil, true, Detected, Blocked, "refused"},
		{"a failure", rhumb.Finding{}, errors.New("away"), false, Unseen, Unseen, "can't take"},
	} {
		for mode, want := range map[rhumb.WAFMode]string{rhumb.WAFDetect: c.detect, rhumb.WAFBlock: c.block} {
			ch := chained(t, rhumb.RouteOptions{WAF: &rhumb.WAF{Mode: mode, Paranoia: 3, Score: 9, Refuse: true}}, nil)
			ch.inspect = func(_ context.Context, i *rhumb.Inspection) (rhumb.Finding, error) {
				if i.Paranoia != 3 || i.Score != 9 {
					t.Errorf("asked with %+v", i)
				}
				return c.f, c.err
			}
			r, instead := ch.Inspect(t.Context(), &rhumb.Inspection{Partial: c.part}, "shop")
			if (r == nil) != (want == "") || r != nil && r.Word != want {
				t.Errorf("%s, %s: %+v, want %q", c.what, mode, r, want)
			}
			refused := mode == rhumb.WAFBlock && want != ""
			if (instead != nil) != refused || refused && !strings.Contains(instead.String(), c.status) {
				t.Errorf("%s, %s: answered %v", c.what, mode, instead)
			}
		}
	}
	r := &Ruling{Blocked, attack}
	if r.Rules() != "942100" || r.Why() != "SQL (ARGS:q)" {
		t.Errorf("%q, %q", r.Rules(), r.Why())
	}
}
