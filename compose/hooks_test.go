package compose

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
)

const hooked = `
services:
  db: {image: postgres}
  web:
    image: shop
    command: [serve]
    environment: {A: a, B: b}
    volumes: ["data:/data", "./app.conf:/etc/app.conf:ro", /cache]
    secrets: [token]
    networks: {back: {ipv4_address: 10.9.0.4, aliases: [www]}}
    ports: ["80:80"]
    healthcheck: {test: [CMD, check]}
    depends_on: {db: {condition: service_healthy, restart: true}}
    pre_start:
      - {command: migrate --now, environment: {B: other}, volumes: ["more:/data"]}
      - {image: tools, command: [warm], per_replica: true}
      - {command: [seed], user: "5"}
    post_start: [{command: [greet], environment: [C=c, HOME_OF_NOBODY], user: root}]
    pre_stop: [{command: leave now, working_dir: /w}, {command: [bye], privileged: true}]
    x-rhumb:
      hooks: {pre_start: 5m, pre_stop: 7s}
      after: {command: smoke --all, http: /alive, timeout: 20s}
networks: {back: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}
volumes: {data: , more: }
secrets: {token: {file: app.conf}}
`

func TestHooksBecomeJobsAndCommands(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app.conf", "x")
	write(t, dir, "compose.yaml", hooked)
	p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
	if err != nil {
		t.Fatal(told(err))
	}
	web := p.Stack.Service("web")
	one, three := p.Stack.Service("web.pre_start.1"), p.Stack.Service("web.pre_start.3")
	if one == nil || three == nil || p.Stack.Service("web.pre_start.2") != nil || len(p.Stack.Services) != 4 {
		t.Fatalf("services: %+v", p.Stack.Services)
	}
	db := rhumb.Dependency{Service: "db", Condition: rhumb.DependsHealthy}
	first := rhumb.Dependency{Service: "web.pre_start.1", Condition: rhumb.DependsCompleted}
	third := rhumb.Dependency{Service: "web.pre_start.3", Condition: rhumb.DependsCompleted}
	same(t, "the first one awaits", one.DependsOn, []rhumb.Dependency{db})
	same(t, "the third one awaits", three.DependsOn, []rhumb.Dependency{db, first})
	db.Restart = true
	same(t, "the service awaits", web.DependsOn, []rhumb.Dependency{db, first, third})

	k := one.Container
	same(t, "variables", k.Env, map[string]string{"A": "a", "B": "other"})
	same(t, "command", k.Command, []string{"migrate", "--now"})
	same(t, "networks", k.Networks, []rhumb.Attachment{{Network: "s_back"}})
	targets := map[string]string{}
	for _, m := range k.Mounts {
		targets[m.Target] = m.Source
	}
	same(t, "mounts", targets,
		map[string]string{"/data": "s_more", "/etc/app.conf": "app.conf", "/cache": "", "/run/secrets/token": "token"})
	if k.Image != "" || web.PreStart[0].Container.Image != "tools" || len(k.HostPorts)+len(k.Expose)+len(one.Ports) > 0 {
		t.Errorf("image %q, then %q; ports %v", k.Image, web.PreStart[0].Container.Image, k.Expose)
	}
	if !one.Job || one.Ready.Timeout != 5*time.Minute || one.Update.OnFailure != rhumb.ActionRollback {
		t.Errorf("the job: %+v", one)
	}
	if x := web.PreStart[0]; x.Number != 2 || x.Timeout != 5*time.Minute || len(web.PreStart) != 1 {
		t.Errorf("per replica: %+v", web.PreStart)
	}
	same(t, "post_start", web.PostStart,
		[]rhumb.Hook{{Command: []string{"greet"}, Env: map[string]string{"C": "c"}, User: "root", Timeout: time.Minute}})
	same(t, "pre_stop", web.PreStop,
		[]rhumb.Hook{{Command: []string{"leave", "now"}, WorkingDir: "/w", Timeout: 7 * time.Second},
			{Command: []string{"bye"}, Privileged: true, Timeout: 7 * time.Second}})
	same(t, "after", web.After,
		&rhumb.Check{Command: []string{"smoke", "--all"}, Path: "/alive", Port: 80, Timeout: 20 * time.Second})
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestHooksOfRunningReplicasAreNotInTheSpec(t *testing.T) {
	plain := only(t, t.TempDir(), "services: {web: {image: x}}")
	hooked := only(t, t.TempDir(), "services: {web: {image: x, post_start: [{command: a}], pre_stop: [{command: b}], "+
		"x-rhumb: {after: {command: c}}}}")
	if plain.Container.Hash() != hooked.Container.Hash() {
		t.Error("they change the spec")
	}
}

const ownWords = `
services:
  web:
    image: x
    pull_policy: never
    deploy: {resources: {limits: {memory: 50m}}}
    pre_start:
      - {command: a, network_mode: none, mem_limit: 1g}
      - {command: b, network_mode: bridge, image: tools, pull_policy: always}
      - {command: c, networks: [more], per_replica: true, image: tools, pull_policy: always}
      - {command: d}
    networks: [front]
  agent:
    image: x
    build: .
    pull_policy: build
    network_mode: host
    pre_start: [{command: a, networks: [more]}, {command: b, image: tools}]
networks: {front: , more: }
`

func TestAHooksOwnValuesOverrideItsServices(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yaml", ownWords)
	write(t, dir, "Dockerfile", "FROM x")
	p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
	if err != nil {
		t.Fatal(told(err))
	}
	type network struct {
		mode  string
		joins []rhumb.Attachment
	}
	web := p.Stack.Service("web")
	for name, want := range map[string]struct {
		network
		pull   rhumb.PullPolicy
		memory int64
	}{
		"web.pre_start.1":   {network{mode: "none"}, rhumb.PullNever, 1 << 30},
		"web.pre_start.2":   {network{joins: []rhumb.Attachment{{Network: "s_default"}}}, rhumb.PullAlways, 50 << 20},
		"web.pre_start.4":   {network{joins: []rhumb.Attachment{{Network: "s_front"}}}, rhumb.PullNever, 50 << 20},
		"agent.pre_start.1": {network{joins: []rhumb.Attachment{{Network: "s_more"}}}, rhumb.PullMissing, 0},
		"agent.pre_start.2": {network{mode: "host"}, rhumb.PullMissing, 0},
	} {
		job := p.Stack.Service(name)
		k := job.Container
		same(t, name+" joins", k.Networks, want.joins)
		if k.NetworkMode != want.mode || job.Pull != want.pull || k.Resources.Memory != want.memory {
			t.Errorf("%s: mode %q, pull %s, memory %d", name, k.NetworkMode, job.Pull, k.Resources.Memory)
		}
	}
	if h := web.PreStart[0]; h.Pull != rhumb.PullAlways || len(h.Container.Networks) != 2 {
		t.Errorf("per replica: %+v", h)
	}
}
