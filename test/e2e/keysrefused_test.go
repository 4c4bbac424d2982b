package e2e

import (
	"fmt"
	"os/exec"
	"regexp"
	"testing"
)

// keyRefused is a stack that this engine or this machine can't run. What it says shows that it was asked: what
// exactly, in every field, is shown by the tests of the mapping in package docker.
type keyRefused struct {
	name, keys, says string
	works            []string // of docker run: with these the machine can do it, and then the deployment has to work
	want             string   // of the deployment that fails
}

var keyRefusals = []keyRefused{
	{name: "GPUs", keys: "gpus[].driver gpus[].capabilities gpus[].count gpus[].options",
		says:  "gpus: [{driver: nvidia, count: 1, capabilities: [utility], options: {virtualization: 'false'}}]",
		works: []string{"--gpus", "1"},
		want:  `could not select device driver "nvidia" with capabilities: \[\[utility gpu\]\]`},
	{name: "GPUs by their IDs", keys: "gpus[].device_ids", says: "gpus: [{driver: nvidia, device_ids: ['0']}]",
		works: []string{"--gpus", "device=0"},
		want:  `could not select device driver "nvidia" with capabilities: \[\[gpu\]\]`},
	{name: "reserved devices", keys: "deploy.resources.reservations.devices[].driver " +
		"deploy.resources.reservations.devices[].capabilities " +
		"deploy.resources.reservations.devices[].count deploy.resources.reservations.devices[].options",
		says: "deploy: {resources: {reservations: {devices: [{driver: abacus, count: 2, capabilities: [beads], options: " +
			"{a: b}}]}}}", works: []string{"--no-such-flag"},
		want: `could not select device driver "abacus" with capabilities: \[\[beads\]\]`},
	{name: "reserved devices by their IDs", keys: "deploy.resources.reservations.devices[].device_ids",
		says:  "deploy: {resources: {reservations: {devices: [{driver: abacus, device_ids: [a], capabilities: [beads]}]}}}",
		works: []string{"--no-such-flag"},
		want:  `could not select device driver "abacus" with capabilities: \[\[beads\]\]`},
	{name: "real-time scheduling", keys: "cpu_rt_period cpu_rt_runtime",
		says: "cpu_rt_period: 100000\n    cpu_rt_runtime: 9000", works: []string{"--cpu-rt-runtime", "9000"},
		want: "rt_runtime|real-time|cpu-rt"},
	{name: "a quota for the container's own files", keys: "storage_opt", says: "storage_opt: {size: 1G}",
		works: []string{"--storage-opt", "size=1G"},
		want:  "storage-opt is supported only for overlay over xfs with 'pquota' mount option"},
	{name: "privileged hooks", keys: "post_start[].privileged pre_stop[].privileged",
		says:  "post_start: [{command: ['true'], privileged: true}]\n    pre_stop: [{command: ['true'], privileged: true}]",
		works: []string{"--privileged"},
		want:  "post_start"},
	{name: "privileged", keys: "privileged", says: "privileged: true", works: []string{"--privileged"},
		want: "unable to apply caps"},
}

func (r keyRefused) run(t *testing.T, s *server) {
	k := newStack(t, s, fmt.Sprintf("services:\n  box:\n    image: debian:12-slim\n    command: sleep infinity\n    "+
		"init: true\n    %s\n", r.says))
	args := append([]string{"run", "--rm", "--network", "none"}, r.works...)
	if exec.Command("docker", append(args, "debian:12-slim", "true")...).Run() == nil {
		k.must(0, "deploy")
		return
	}
	if out := k.must(3, "deploy"); !regexp.MustCompile(r.want).MatchString(out) {
		t.Errorf("%q is not in:\n%s", r.want, out)
	}
}
