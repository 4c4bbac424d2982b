package compose

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"rhumb"
)

func loadBans(t *testing.T, bans string) (*Project, error) {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "compose.yaml", "services:\n  web:\n    image: x\n    x-rhumb:\n      routes: [a.example.com]\n"+
		"      bans: "+bans+"\n  db: {image: y}\n")
	return Load(t.Context(), Options{Dir: dir, Name: "s", Environ: []string{"COUNT=7"}})
}

func TestTheBansOfAServiceAreRead(t *testing.T) {
	t.Parallel()
	usual := rhumb.Bans{For: 10 * time.Minute, Grow: 2, Max: 7 * 24 * time.Hour}
	with := func(b rhumb.Bans, rules ...rhumb.BanRule) rhumb.Bans {
		b.On = rules
		return b
	}
	rule := rhumb.BanRule{Name: "rule 1", Count: 5, In: 10 * time.Minute}
	ofStatus, ofPath, ofLog, ofAll := rule, rule, rule, rule
	ofStatus.Status = []rhumb.StatusRange{{From: 401, To: 401}, {From: 500, To: 599}}
	ofPath.Paths, ofPath.Methods, ofPath.Count = []string{"/wp-*", "/.env"}, []string{"GET", "POST"}, 1
	ofLog.Log, ofLog.Match, ofLog.Count = "db", "failed from <client>$", 7
	ofAll.Count, ofAll.In = 600, time.Minute
	grows := rhumb.Bans{For: time.Hour, Grow: 1.5, Max: 48 * time.Hour}
	long := rhumb.Bans{For: 720 * time.Hour, Grow: 2, Max: 720 * time.Hour, Private: true}
	for text, want := range map[string]rhumb.Bans{
		"[{status: [401, 5xx]}]":                                          with(usual, ofStatus),
		`[{path: "/wp-*|/.env", method: [GET, POST], count: 1}]`:          with(usual, ofPath),
		`[{path: ["/wp-*", "/.env"], method: "GET|POST", count: 1}]`:      with(usual, ofPath),
		"[{log: db, match: 'failed from <client>$$', count: '${COUNT}'}]": with(usual, ofLog),
		"{on: [{count: 600, in: 1m}], for: 1h, grow: 1.5, max: 2d}":       with(grows, ofAll),
		"{on: [{count: 600, in: 1m}], for: 30d, private: true}":           with(long, ofAll),
	} {
		p, err := loadBans(t, text)
		if err != nil {
			t.Errorf("%s: %v", text, told(err))
		} else if got := p.Stack.Service("web").Bans; !reflect.DeepEqual(got, want) {
			t.Errorf("%s is %+v, want %+v", text, got, want)
		}
	}
}

func TestReadyMadeBansAreNamed(t *testing.T) {
	t.Parallel()
	p, err := loadBans(t, "[login, scanner, wordpress, flood, {status: 401}]")
	if err != nil {
		t.Fatal(told(err))
	}
	var names []string
	for _, r := range p.Stack.Service("web").Bans.On {
		names = append(names, r.Name)
	}
	want := "login scanner scanner-2 wordpress wordpress-2 flood flood-2 rule 5"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("the rules are %s, want %s", got, want)
	}
}

func TestMistakesInBansAreReported(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"login":                                 "not a list of rules",
		"[logins]":                              "no ready-made rule",
		"[login, login]":                        "duplicate rule",
		"[5]":                                   "not a rule",
		"[{}]":                                  "empty",
		"[{in: 1m}]":                            "every fifth request",
		"[{status: 600}]":                       "not a status",
		"[{status: 6xx}]":                       "not a status",
		"[{path: wp}]":                          "not a pattern",
		"[{method: get}]":                       "not a method",
		"[{status: 401, count: 0}]":             "not a number",
		"[{status: 401, in: 2d}]":               "not a time",
		"[{log: db}]":                           "one of log and match",
		"[{log: db, match: failed}]":            "<client>",
		"[{log: db, match: '(<client>'}]":       "not a regular expression",
		"[{log: none, match: <client>}]":        "no service",
		"[{log: db, match: <client>, path: /}]": "not both",
		"{for: 1h}":                             "list of rules is missing",
		"{on: [login], for: 1h, max: 1m}":       "shorter than the first ban",
		"{on: [login], grow: 0.5}":              "not a number from 1 to 100",
		"{on: [login], grow: NaN}":              "not a number from 1 to 100",
		"{on: [login], private: perhaps}":       "neither true nor false",
		"{on: [login], forever: true}":          "unknown field",
	} {
		if _, err := loadBans(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestBansNeedAServiceThatClientsReach(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"services: {web: {image: x, x-rhumb: {bans: [flood]}}}":                                         "no route or port",
		"services: {web: {image: x, ports: ['80:80'], x-rhumb: {bans: [{count: 9}]}}}":                  "",
		"services: {web: {image: x, ports: ['80:80'], x-rhumb: {bans: [{status: 401}]}}}":               "no HTTP route",
		"services: {web: {image: x, ports: ['80:80'], x-rhumb: {bans: [{log: web, match: <client>}]}}}": "",
	} {
		dir := t.TempDir()
		write(t, dir, "compose.yaml", text+"\n")
		_, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
