package compose

import (
	"slices"
	"testing"

	"rhumb"
)

// notesOf returns a stack's notes, without those about keys honoured as written: "place: subject fate".
func notesOf(p *Project) []string {
	var notes []string
	for _, n := range p.Stack.Notes {
		if n.Fate != rhumb.Honoured {
			notes = append(notes, n.At+": "+n.Subject+" "+string(n.Fate))
		}
	}
	return notes
}

func TestAnOverlayIsABridgeOnOneMachine(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yaml", `
services: {web: {image: x, networks: [front]}}
networks:
  front:
    driver: overlay
    attachable: true
    driver_opts: {encrypted: "", com.docker.network.driver.overlay.vxlanid_list: "4097", com.docker.network.driver.mtu: "1400"}
  unused: {driver: overlay}
`)
	p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
	if err != nil {
		t.Fatal(told(err))
	}
	same(t, "networks", p.Stack.Networks,
		[]rhumb.Network{{Key: "front", Name: "s_front",
			DriverOpts: map[string]string{"com.docker.network.driver.mtu": "1400"}}})
	same(t, "notes", notesOf(p), []string{
		"compose.yaml:5: networks.front.driver emulated", "compose.yaml:6: networks.front.attachable ignored",
		"compose.yaml:7: networks.front.driver_opts.com.docker.network.driver.overlay.vxlanid_list ignored",
		"compose.yaml:7: networks.front.driver_opts.encrypted ignored"})
}

func TestANetworkModeThatNamesANetworkJoinsIt(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yaml", `
services:
  a: {image: x, network_mode: mine}
  b: {image: x, network_mode: theirs}
  c: {image: x, network_mode: named, pre_start: [{command: x}, {command: y, network_mode: theirs}]}
  d: {image: x, networks: [mine], pre_start: [{command: y, network_mode: named}], ports: ["80:80"]}
networks: {mine: {}, other: {name: named}}
`)
	p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
	if err != nil {
		t.Fatal(told(err))
	}
	for service, want := range map[string]rhumb.Attachment{
		"a": {Network: "s_mine", Aliases: []string{"a"}}, "b": {Network: "theirs", Aliases: []string{"b"}},
		"c":             {Network: "named", Aliases: []string{"c"}},
		"c.pre_start.1": {Network: "named"}, "c.pre_start.2": {Network: "theirs"},
		"d": {Network: "s_mine", Aliases: []string{"d"}}, "d.pre_start.1": {Network: "named"},
	} {
		k := container(p, service)
		same(t, service, k.Networks, []rhumb.Attachment{want})
		same(t, service+"'s mode", k.NetworkMode, "")
	}
	same(t, "networks", p.Stack.Networks,
		[]rhumb.Network{{Key: "mine", Name: "s_mine"}, {Key: "other", Name: "named"},
			{Key: "theirs", Name: "theirs", External: true}})
	same(t, "notes", notesOf(p),
		[]string{"compose.yaml:4: services.b.network_mode emulated",
			"compose.yaml:5: services.c.pre_start[1].network_mode emulated"})
	again(t, Options{}, p)
}

func TestAWrongNetworkModeNamesNoNetwork(t *testing.T) {
	for mode, hint := range map[string]string{
		"a:b":    "write host, none, service:NAME, container:NAME, or a network's name",
		"a b":    "write host, none, service:NAME, container:NAME, or a network's name",
		"brigde": "did you mean bridge? a network of that name is declared below networks:, with external: true",
	} {
		dir := t.TempDir()
		write(t, dir, "compose.yaml", "services: {a: {image: x, network_mode: \""+mode+"\"}}")
		_, err := Load(t.Context(), Options{Dir: dir})
		if lines := told(err); len(lines) != 1 || !slices.ContainsFunc(lines, func(l string) bool {
			return l[:len("compose.yaml:1: ")] == "compose.yaml:1: " && l[len(l)-len(hint):] == hint
		}) {
			t.Errorf("%s: told %q", mode, lines)
		}
	}
}

func TestRestartPoliciesAcceptTheValuesOfRestart(t *testing.T) {
	for word, want := range map[string]rhumb.RestartCondition{"always": rhumb.RestartAny,
		"unless-stopped": rhumb.RestartAny, "any": rhumb.RestartAny,
		"no": rhumb.RestartNone, `"no"`: rhumb.RestartNone, "none": rhumb.RestartNone, "on-failure": rhumb.RestartOnFailure} {
		svc := only(t, t.TempDir(), "services: {web: {image: x, deploy: {restart_policy: {condition: "+word+"}}}}")
		if svc.Restart.Condition != want {
			t.Errorf("%s is %s", word, svc.Restart.Condition)
		}
	}
}
