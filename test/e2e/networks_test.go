package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// inside is a stack of two services that call each other through a network, which changes.
var inside = `
services:
  api:
    image: rhumb-test/app:1
    environment: {RELEASE: "${N:-0}"}
    networks: [n]
    x-rhumb: {ready: {http: /health, port: 8000}, drain: 3s}
  nginx:
    image: rhumb-test/hops:1
    init: true
    ports: [{target: 80, published: "${PORT}", app_protocol: http}]
    networks: [n]
    depends_on: [api]
    stop_signal: SIGQUIT
    environment: {LATE: "${LATE:-0}"}
    entrypoint: [bash, -ec, 'sleep "$$LATE"; exec "$$@"', --]
    x-rhumb: {drain: 8s}
` + nginx(beforeAPI) + `networks: {n: {ipam: {config: [{subnet: "${NET:-10.231.15.0/24}"}]}, internal: "${INTERNAL:-false}"}}
`

// networks returns the stack's networks by name.
func (k *stack) networks() map[string]network {
	k.t.Helper()
	names := strings.Fields(docker(k.t, "network", "ls", "--filter", "label=dev.rhumb.stack="+k.name, "--format",
		"{{.Name}}"))
	all := map[string]network{}
	for _, name := range names {
		out, err := dockerOutput("network", "inspect", name)
		var n []network
		if err == nil && json.Unmarshal(out, &n) == nil && len(n) == 1 { // else it has gone meanwhile
			all[name] = n[0]
		}
	}
	return all
}

type network struct {
	Internal   bool
	IPAM       struct{ Config []struct{ Subnet string } }
	Containers map[string]struct{ Name string }
}

// onlyNetwork waits until the stack has one network, with that subnet and its two replicas.
func (k *stack) onlyNetwork(subnet string, internal bool) string {
	k.t.Helper()
	var found string
	eventually(k.t, 30e9, "one network", func() error {
		all := k.networks()
		for name, n := range all {
			found = name
			if len(all) == 1 && n.IPAM.Config[0].Subnet == subnet && n.Internal == internal && len(n.Containers) == 2 {
				return nil
			}
		}
		return fmt.Errorf("networks: %+v", all)
	})
	return found
}

// The new nginx comes after the old api has gone: the old nginx needs the new api, from the old network.
func TestANetworkChangesWithoutALostRequest(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k := newStack(t, newServer(t), inside)
	k.env = append(k.env, "LATE=7")
	k.must(0, "deploy")
	k.onlyNetwork("10.231.15.0/24", false)
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20, slow: k.url("/slow?d=2s")})
	k.env = append(k.env, "NET=10.231.16.0/24", "N=1")
	if out := k.must(0, "plan"); !strings.Contains(out, "networks.n changed: subnet 10.231.15.0/24 to 10.231.16.0/24") {
		t.Errorf("plan:\n%s", out)
	}
	k.must(0, "deploy")
	other := k.onlyNetwork("10.231.16.0/24", false)
	k.must(0, "rollback")
	if name := k.onlyNetwork("10.231.15.0/24", false); name == other {
		t.Errorf("%s is the network of both releases", name)
	}
	y := l.end()
	t.Logf("through nginx: %v", y)
	if y.failed > 0 {
		t.Errorf("%d requests failed", y.failed)
	}
}

func TestServicesMoveToAnotherNetworkWithoutALostRequest(t *testing.T) {
	t.Parallel()
	needDocker(t)
	plain := inside[:strings.LastIndex(inside, "networks: ")] + "networks: {n: {}}\n"
	k := newStack(t, newServer(t), plain)
	k.env = append(k.env, "LATE=7")
	k.must(0, "deploy")
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20, slow: k.url("/slow?d=2s")})
	// The api leaves n, in which nginx stays, while nginx joins the api in the other network.
	apart := strings.Replace(plain, "networks: [n]", "networks: [m]", 1)
	apart = strings.Replace(apart, "networks: [n]", "networks: [n, m]", 1)
	k.write("compose.yaml", strings.Replace(apart, "networks: {n:", "networks: {m: {}, n:", 1))
	k.must(0, "deploy")
	elsewhere := strings.NewReplacer("networks: [n]", "networks: [o]", "networks: {n:", "networks: {o:")
	k.write("compose.yaml", elsewhere.Replace(plain))
	k.must(0, "deploy")
	k.must(0, "rollback")
	if y := l.end(); y.failed > 0 {
		t.Errorf("%v", y)
	}
}

func TestNetworksComeAndGoInQuickSuccession(t *testing.T) {
	t.Parallel()
	needDocker(t)
	const on = `
services:
  web: {image: "rhumb-test/app:1", environment: {RELEASE: "${N:-0}"}, networks: [KEY],
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}], x-rhumb: {ready: {http: /health, port: 8000}, drain: 1s}}
networks: {KEY: {}}
`
	k := newStack(t, newServer(t), "")
	l := (*load)(nil)
	for n := range 12 {
		k.write("compose.yaml", strings.ReplaceAll(on, "KEY", []string{"one", "two"}[n%2]))
		k.env = []string{fmt.Sprintf("N=%d", n)}
		if r := k.rhumb("deploy"); r.code != 0 || strings.Contains(r.out, "trying again") {
			t.Fatalf("deployment %d exits with %d:\n%s", n+1, r.code, r.out)
		}
		if l == nil {
			l = startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 20})
		}
	}
	if y := l.end(); y.failed > 0 {
		t.Errorf("%v", y)
	}
}

func TestChosenPortsLeadToTheirServices(t *testing.T) {
	t.Parallel()
	needDocker(t)
	s := newServer(t)
	const twins = `
services:
  a: {image: "rhumb-test/app:1", environment: {RELEASE: "NAME a"}, ports: ["8000"], x-rhumb: {ready: {http: /health, port: 8000}}}
  b: {image: "rhumb-test/app:1", environment: {RELEASE: "NAME b"}, ports: ["8000"], x-rhumb: {ready: {http: /health, port: 8000}}}
`
	seen := map[string]bool{}
	for _, name := range []string{"first", "second"} {
		k := newStack(t, s, strings.ReplaceAll(twins, "NAME", name))
		k.must(0, "plan")
		k.must(0, "deploy")
		for _, l := range strings.Fields(k.must(0, "ps")) {
			_, port, ok := strings.Cut(strings.TrimSuffix(l, "/tcp"), "*:")
			if !ok {
				continue
			}
			resp, err := http.Get("http://127.0.0.1:" + port + "/")
			if err != nil {
				t.Errorf("%s on %s: %v", name, port, err)
				continue
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			seen[strings.TrimSpace(string(body))] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("answers: %v", seen)
	}
}
