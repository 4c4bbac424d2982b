package compose

import (
	"errors"
	"strings"
	"testing"

	"rhumb"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

// fates has a case for each key, or value of a key, that is refused or ignored. The mark ends the line of the key.
// What isn't at the top level is below services.web.
var fates = map[string]string{
	"version":                           "/version: '3.8' #",
	"models":                            "/models: {m: {model: x}} #",
	"jobs":                              "/jobs: {j: {image: x, triggers: {manual: true}}} #",
	"services.*.external_links":         "external_links: [other] #",
	"services.*.attach":                 "attach: false #",
	"services.*.develop":                "develop: {watch: []} #",
	"services.*.cpu_count":              "cpu_count: 2 #",
	"services.*.cpu_percent":            "cpu_percent: 50 #",
	"services.*.isolation":              "isolation: hyperv #",
	"services.*.credential_spec":        "credential_spec: {file: x} #",
	"services.*.use_api_socket":         "use_api_socket: true #",
	"services.*.models":                 "models: [m] #\n/models: {m: {model: x}}",
	"services.*.provider":               "provider: {type: x} #",
	"services.*.ports[].name":           "ports:\n  - target: 80\n    name: web #",
	"services.*.ports[].app_protocol=*": "ports:\n  - target: 80\n    app_protocol: grpc #",
	"services.*.ports[].protocol=sctp":  "ports:\n  - target: 80\n    protocol: sctp #",
	"services.*.networks.*.use_service_name_alias=false": "networks:\n  default:\n    " +
		"use_service_name_alias: false #",
	"services.*.volumes[].type=npipe": "volumes:\n  - type: npipe #\n    source: /a\n    " +
		"target: /b",
	"services.*.volumes[].type=cluster": "volumes:\n  - type: cluster #\n    source: a\n    " +
		"target: /b",
	"services.*.volumes[].consistency": "volumes:\n  - type: volume\n    target: /b\n    " +
		"consistency: cached #",
	"services.*.volumes[].volume.labels": "volumes:\n  - type: volume\n    target: /b\n    " +
		"volume:\n      labels: {a: b} #",
	"services.*.build.additional_contexts": "build:\n  context: .\n  additional_contexts: {a: .} #",
	"services.*.build.ssh":                 "build:\n  context: .\n  ssh: [default] #",
	"services.*.build.entitlements":        "build:\n  context: .\n  entitlements: [network.host] #",
	"services.*.build.privileged":          "build:\n  context: .\n  privileged: true #",
	"services.*.build.cache_to":            "build:\n  context: .\n  cache_to: [x] #",
	"services.*.build.provenance":          "build:\n  context: .\n  provenance: true #",
	"services.*.build.sbom":                "build:\n  context: .\n  sbom: true #",
	"services.*.build.isolation":           "build:\n  context: .\n  isolation: default #",
	"services.*.build.secrets[].uid": "build:\n  context: .\n  secrets:\n    - source: " +
		"s\n      uid: '5' #\n/secrets: {s: {file: ./file}}",
	"services.*.build.secrets[].gid": "build:\n  context: .\n  secrets:\n    - source: " +
		"s\n      gid: '5' #\n/secrets: {s: {file: ./file}}",
	"services.*.build.secrets[].mode": "build:\n  context: .\n  secrets:\n    - source: " +
		"s\n      mode: 0440 #\n/secrets: {s: {file: ./file}}",
	"services.*.deploy.placement":     "deploy:\n  placement: {max_replicas_per_node: 1} #",
	"services.*.deploy.endpoint_mode": "deploy:\n  endpoint_mode: vip #",
	"services.*.deploy.resources.reservations.cpus": "deploy:\n  resources:\n    reservations:\n      " +
		"cpus: '0.5' #",
	"services.*.deploy.resources.reservations.generic_resources": "deploy:\n  resources:\n    reservations:\n      " +
		"generic_resources: [{discrete_resource_spec: {kind: a, value: 1}}] #",
	"services.*.deploy.restart_policy.window": "deploy:\n  restart_policy:\n    window: 9s #",
	"services.*.deploy.rollback_config.order": "deploy:\n  rollback_config:\n    order: stop-first #",
	"networks.*.enable_ipv4=false": "networks: [n]\n/networks:\n/  n:\n/    " +
		"enable_ipv4: false #",
	"configs.*.labels": "configs: [c]\n/configs:\n/  c:\n/    content: " +
		"x\n/    labels: {a: b} #",
	"configs.*.template_driver": "configs: [c]\n/configs:\n/  c:\n/    content: " +
		"x\n/    template_driver: golang #",
	"secrets.*.labels": "secrets: [c]\n/secrets:\n/  c:\n/    file: " +
		"./file\n/    labels: {a: b} #",
	"secrets.*.driver": "secrets: [c]\n/secrets:\n/  c:\n/    file: " +
		"./file\n/    driver: x #",
	"secrets.*.driver_opts": "secrets: [c]\n/secrets:\n/  c:\n/    file: " +
		"./file\n/    driver_opts: {a: b} #",
	"secrets.*.template_driver": "secrets: [c]\n/secrets:\n/  c:\n/    file: " +
		"./file\n/    template_driver: golang #",
}

// caseFile returns the stack file of a case and the line of its mark.
func caseFile(text string) (yaml, at string) {
	lines := []string{"services:", "  web:", "    image: x"}
	for line := range strings.SplitSeq(text, "\n") {
		if top, ok := strings.CutPrefix(line, "/"); ok {
			lines = append(lines, top)
		} else {
			lines = append(lines, "    "+line)
		}
	}
	for i, line := range lines {
		if strings.HasSuffix(line, " #") {
			at = place.At("compose.yaml", i+1)
		}
	}
	return strings.Join(lines, "\n") + "\n", at
}

func TestRefusedAndIgnoredKeysHaveAPlaceAndAReason(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "file", "x")
	write(t, dir, "Dockerfile", "FROM scratch\n")
	done := map[string]bool{}
	for _, k := range keys.Table() {
		// a hook has the keys of a service
		if k.Fate != rhumb.Refused && k.Fate != rhumb.Ignored || strings.Contains(k.Path, "pre_start[]") {
			continue
		}
		id := k.Path
		if k.Value != "" {
			id += "=" + k.Value
		}
		text, ok := fates[id]
		if !ok {
			t.Errorf("%s is %s, and no case shows it", id, k.Fate)
			continue
		}
		done[id] = true
		yaml, at := caseFile(text)
		write(t, dir, "compose.yaml", yaml)
		p, err := Load(t.Context(), Options{Dir: dir})
		if k.Fate == rhumb.Refused {
			refusedAt(t, id, err, at, k.Why)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", id, err)
			continue
		}
		told := false
		for _, n := range p.Stack.Notes {
			told = told || n.At == at && n.Fate == rhumb.Ignored && n.Why == k.Why
		}
		if !told {
			t.Errorf("%s at %s isn't told: %+v", id, at, p.Stack.Notes)
		}
	}
	for id := range fates {
		if !done[id] {
			t.Errorf("a case is for %s, which is neither refused nor ignored", id)
		}
	}
}

// refusedAt checks that there is a mistake at a place, with a reason and a hint.
func refusedAt(t *testing.T, id string, err error, at, why string) {
	t.Helper()
	var one *rhumb.Error
	var all rhumb.Errors
	if !errors.As(err, &all) && errors.As(err, &one) {
		all = rhumb.Errors{one}
	}
	for _, e := range all {
		if e.At == at && strings.Contains(e.Msg, why) && e.Hint != "" {
			return
		}
	}
	t.Errorf("%s at %s isn't refused because %q: %v", id, at, why, err)
}
