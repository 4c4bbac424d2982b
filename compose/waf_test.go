package compose

import (
	"reflect"
	"strings"
	"testing"

	"rhumb"
)

const wafFile = `
services:
  web:
    image: nginx
    expose: ["80"]
    x-rhumb:
      http: {waf: detect}
      routes:
        - a.example.com
        - {host: b.example.com, waf: off}
        - host: c.example.com
          waf:
            mode: block
            paranoia: 2
            score: 10
            body: 64KB
            large: refuse
            exclude:
              - {path: /admin/, rules: [942190, "942100"]}
              - {path: /uploads}
              - {rules: [920420]}
        - {host: d.example.com, waf: true}
`

func TestAFirewallIsChosenByRoute(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yaml", wafFile)
	p, err := Load(t.Context(), Options{Dir: dir})
	if err != nil {
		t.Fatal(told(err))
	}
	plain := &rhumb.WAF{Mode: rhumb.WAFDetect, Paranoia: 1, Score: rhumb.WAFScore, Body: rhumb.WAFBody}
	full := &rhumb.WAF{Mode: rhumb.WAFBlock, Paranoia: 2, Score: 10, Body: 64 << 10, Refuse: true,
		Exclude: []rhumb.WAFExclusion{{Path: "/admin", Rules: []int{942100, 942190}}, {Path: "/uploads"},
			{Rules: []int{920420}}}}
	routes := p.Stack.Services[0].Routes
	for i, want := range []*rhumb.WAF{plain, nil, full, plain} {
		var got *rhumb.WAF
		if o := routes[i].Options; o != nil {
			got = o.WAF
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("route %d: %+v, want %+v", i, got, want)
		}
	}
}

func TestMistakesInAFirewallAreReported(t *testing.T) {
	for value, want := range map[string]string{
		"maybe": "neither detect nor block", "{mode: off}": "neither detect nor block", "{paranoia: 5}": "from 1 to 4",
		"{score: 0}": "from 1 to 1000", "{body: 1MB}": "up to 128 KB", "{large: drop}": "neither pass nor refuse",
		"{exclude: /a}": "must be a list", "{exclude: [{}]}": "leaves everything out", "{rules: [1]}": "unknown field",
		"{exclude: [{path: a}]}": "not a path", "{exclude: [{rules: [949110]}]}": "not a rule", "3": "must be a mapping",
		"{exclude: [{path: /a, rules: []}]}": "list of rules", "{exclude: [{rules: [x]}]}": "not a rule",
	} {
		dir := t.TempDir()
		write(t, dir, "compose.yaml", "services:\n  web:\n    image: a\n    expose: ['80']\n    x-rhumb:\n"+
			"      routes:\n        - host: a.test\n          waf: "+value+"\n")
		_, err := Load(t.Context(), Options{Dir: dir})
		if err == nil || !strings.Contains(strings.Join(told(err), "\n"), want) {
			t.Errorf("%s: %v", value, err)
		}
	}
}
