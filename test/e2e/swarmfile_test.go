package e2e

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// swarmStack is written for Docker Swarm and for docker compose: overlay networks, networks named as modes, a policy
// of always.
const swarmStack = `
version: "3.8"
services:
  one:
    image: rhumb-test/app:1
    environment: {RELEASE: one}
    networks: [front, back]
    ports: ["${PORT}:8000"]
    deploy: {restart_policy: {condition: always}}
  two: {image: "rhumb-test/app:1", networks: [front]}
  inner: {image: "rhumb-test/app:1", network_mode: back}
  outer: {image: "rhumb-test/app:1", network_mode: "x${NAME}"}
networks:
  front: {driver: overlay}
  back: {driver: overlay, attachable: true, driver_opts: {encrypted: ""}}
`

func TestAStackWrittenForSwarmRunsOnOneMachine(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), swarmStack)
	network := "x" + k.name
	if r := k.rhumb("deploy"); r.code == 0 ||
		!strings.Contains(r.out, "network "+network+": it is external and not there") {
		t.Fatalf("without the network that outer joins: exit %d:\n%s", r.code, r.out)
	}
	docker(t, "network", "create", network)
	t.Cleanup(func() { _ = exec.Command("docker", "network", "rm", network).Run() })
	neighbour := strings.TrimSpace(docker(t, "run", "-d", "--network", network, "--network-alias", "neighbour",
		"rhumb-test/app:1"))
	t.Cleanup(func() { _ = exec.Command("docker", "rm", "-f", neighbour).Run() })
	t.Cleanup(k.remove) // before the network, and what was made last ends first

	plan := k.must(0, "plan")
	for _, note := range []string{"networks.front.driver", "networks.back.attachable",
		"networks.back.driver_opts.encrypted", "services.outer.network_mode"} {
		if !strings.Contains(plan, note) {
			t.Errorf("the plan has no note of %s:\n%s", note, plan)
		}
	}
	k.must(0, "deploy")
	for _, way := range []struct{ from, to string }{{"one", "two"}, {"two", "one"}, {"one", "inner"}, {"inner", "one"},
		{"outer", "neighbour"}} {
		k.must(0, "exec", "-T", way.from, "/app", "check", "http://"+way.to+":8000/")
	}
	if r := k.rhumb("exec", "-T", "two", "/app", "check", "http://inner:8000/"); r.code == 0 {
		t.Error("two reaches inner, with which it shares no network")
	}

	k.startsAgain("one")
	k.says(k.url("/"), `"Release":"one"`)
}

// startsAgain has a service's only replica end well, with 0, and waits until it was started again.
func (k *stack) startsAgain(service string) {
	k.t.Helper()
	started := func() string {
		out, err := exec.Command("docker", "ps", "-q", "--filter", "name=^"+k.name+"-"+service+"\\.").Output()
		if err != nil || len(out) == 0 {
			return ""
		}
		out, err = exec.Command("docker", "inspect", "--format", "{{.Id}} {{.State.StartedAt}}",
			strings.TrimSpace(string(out))).Output()
		if err != nil {
			return "" // it went meanwhile
		}
		return string(out)
	}
	before := started()
	docker(k.t, "kill", "-s", "TERM", strings.Fields(before)[0])
	eventually(k.t, 30*time.Second, service+" was started again", func() error {
		if now := started(); now == "" || now == before {
			return errors.New("not yet")
		}
		return nil
	})
}
