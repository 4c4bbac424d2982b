package routeoption

import (
	"testing"

	"rhumb"
)

func TestAFirewallHasBounds(t *testing.T) {
	good := func() *rhumb.WAF {
		return &rhumb.WAF{Mode: rhumb.WAFBlock, Paranoia: 1, Score: 5, Body: 1,
			Exclude: []rhumb.WAFExclusion{{Path: "/a/b", Rules: []int{942100}}, {Rules: []int{200002}}, {Path: "/x"}}}
	}
	if err := Validate(&rhumb.RouteOptions{WAF: good()}); err != nil {
		t.Error(err)
	}
	for what, spoil := range map[string]func(*rhumb.WAF){
		"no mode":           func(w *rhumb.WAF) { w.Mode = "" },
		"paranoia 0":        func(w *rhumb.WAF) { w.Paranoia = 0 },
		"paranoia 5":        func(w *rhumb.WAF) { w.Paranoia = 5 },
		"score 0":           func(w *rhumb.WAF) { w.Score = 0 },
		"a negative body":   func(w *rhumb.WAF) { w.Body = -1 },
		"a large body":      func(w *rhumb.WAF) { w.Body = rhumb.MaxWAFBody + 1 },
		"a relative path":   func(w *rhumb.WAF) { w.Exclude[0].Path = "a" },
		"a path upwards":    func(w *rhumb.WAF) { w.Exclude[0].Path = "/a/../b" },
		"a path with two /": func(w *rhumb.WAF) { w.Exclude[0].Path = "/a//b" },
		"the root":          func(w *rhumb.WAF) { w.Exclude[0].Path = "/" },
		"an unknown rule":   func(w *rhumb.WAF) { w.Exclude[0].Rules[0] = 1 },
		"the evaluation":    func(w *rhumb.WAF) { w.Exclude[0].Rules[0] = 949110 },
		"the beginning":     func(w *rhumb.WAF) { w.Exclude[0].Rules[0] = 901340 },
		"many exclusions":   func(w *rhumb.WAF) { w.Exclude = make([]rhumb.WAFExclusion, 1000) },
	} {
		w := good()
		if spoil(w); Validate(&rhumb.RouteOptions{WAF: w}) == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
