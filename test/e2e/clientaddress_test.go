package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb/internal/porttest"
	"rhumb/vip"
)

// seeing is a stack of which each service answers with the address that it sees.
const seeing = `services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V:-0}", UDP: ":9001"}
    deploy: {replicas: 2}
    ports: ["${PORT}:8000", "${UDP}:9001/udp"]
    networks: [outer]
    x-rhumb: {ready: {http: /health, port: 8000}, drain: 2s}
  web:
    image: rhumb-test/app:1
    ports: [{target: 8000, published: "${HTTP}", app_protocol: http}]
    networks: [outer]
    x-rhumb: {routes: [seen.test], ready: {http: /health, port: 8000}}
  nginx:
    image: rhumb-test/hops:1
    ports: ["${NGINX}:80"]
    networks: [outer]
`

var seeingNginx = nginx(`log_format who '$$remote_addr'; default_type text/plain;
          server { listen 80; listen [::]:80; access_log /dev/stdout who; location / { return 200 "$$remote_addr"; } }`)

const proxied = `  proxied:
    image: rhumb-test/hops:1
    ports: ["${PROXIED}:80"]
    networks: [outer]
    x-rhumb: {proxy_protocol: v2}
`

var proxiedNginx = nginx(`default_type text/plain;
          server { listen 80 proxy_protocol; location / { return 200 "$$proxy_protocol_addr"; } }`)

const outer = `networks:
  outer: {enable_ipv6: true, ipam: {config: [{subnet: "${SIX}"}]}}
`

// seeingStack is that stack, with its ports.
type seeingStack struct {
	*stack
	udp, http, nginx, proxied int
}

func newSeeing(t *testing.T, s *server) *seeingStack {
	t.Helper()
	k := &seeingStack{stack: newStack(t, s, seeing+seeingNginx+proxied+proxiedNginx+outer),
		udp: porttest.Free(t), http: porttest.Free(t), nginx: porttest.Free(t), proxied: porttest.Free(t)}
	k.version(1)
	return k
}

// version makes the next deployment one that replaces the application's replicas.
func (k *seeingStack) version(n int) {
	k.env = []string{fmt.Sprintf("V=%d", n), fmt.Sprintf("UDP=%d", k.udp), fmt.Sprintf("HTTP=%d", k.http),
		fmt.Sprintf("NGINX=%d", k.nginx), fmt.Sprintf("PROXIED=%d", k.proxied), "SIX=fd77:" + k.name[3:7] + "::/64"}
}

// check checks what all services see of a visitor.
func (k *seeingStack) check(v *visitor, when string) {
	k.t.Helper()
	for _, six := range []bool{false, true} {
		want := v.own[six].String()
		for what, see := range map[string]func() (string, error){
			"TCP": func() (string, error) { seen, _, err := v.seenBy(v.address(six, k.port), ""); return seen, err },
			"UDP": func() (string, error) { return v.seenInDatagram(v.address(six, k.udp)) },
			"HTTP port": func() (string, error) {
				_, seen, err := v.seenBy(v.address(six, k.http), "")
				return seen, err
			},
			"route": func() (string, error) {
				_, seen, err := v.seenBy(v.address(six, k.s.entry), "seen.test")
				return seen, err
			},
			"nginx":                         func() (string, error) { return v.get(v.address(six, k.nginx), "") },
			"nginx with the PROXY protocol": func() (string, error) { return v.get(v.address(six, k.proxied), "") },
		} {
			if seen, err := see(); err != nil || seen != want {
				k.t.Errorf("%s: %s: the replica sees %q (%v), want %s", when, what, seen, err, want)
			}
		}
	}
}

func TestReplicasSeeTheirClientsThroughDeployments(t *testing.T) {
	needDocker(t)
	s := newServer(t)
	k, v := newSeeing(t, s), newVisitor(t)
	k.must(0, "deploy")
	k.check(v, "at first")
	if log := docker(t, "logs", k.name+"-nginx.1.1"); !strings.Contains(log, v.own[false].String()) {
		t.Errorf("nginx logs %q", log)
	}
	if out := k.must(0, "routes"); strings.Contains(out, "see the proxy's address") {
		t.Errorf("routes says:\n%s", out)
	}
	x := v.keepVisiting(k.port)
	for n := range longer(4, 20) {
		k.version(n + 2)
		k.must(0, "deploy")
		if n%2 == 1 {
			k.succeedProxy()
		}
	}
	asked, wrong := x.end()
	t.Logf("%d visits", asked)
	if len(wrong) > 0 || asked < 100 {
		t.Errorf("of %d visits: %v", asked, wrong)
	}
	s.killProxy()
	eventually(t, 20*time.Second, "the next proxy serves", func() error {
		_, _, err := v.seenBy(v.address(false, k.port), "")
		return err
	})
	k.check(v, "after a kill of the proxy")
}

// succeedProxy replaces the running proxy by a successor. That has the output of the command, so it gets no pipe, whose
// end would be awaited.
func (k *stack) succeedProxy() {
	k.t.Helper()
	cmd := exec.Command(k.s.binary, "proxy", "--state", filepath.Join(k.s.data, "proxy"), "--succeed")
	if err := cmd.Run(); err != nil {
		k.t.Fatalf("the proxy isn't succeeded: %v", err)
	}
}

// seenApp is a stack of one application on a network of both families.
const seenApp = `services:
  app:
    image: rhumb-test/app:1
    environment: {UDP: ":9001"}
    ports: ["${PORT}:8000", "${UDP}:9001/udp"]
    networks: [outer]
    x-rhumb: {ready: {http: /health, port: 8000}}
networks:
  outer: {enable_ipv6: true, ipam: {config: [{subnet: "fd77:1::/64"}]}}
`

// TestClientsAreSeenWhateverTheMachineFilters runs in namespaces of its own, where it may change the kernel's settings.
func TestClientsAreSeenWhateverTheMachineFilters(t *testing.T) {
	if os.Getenv(nestedEnv) == "" {
		needDocker(t)
		runNested(t)
		return
	}
	for _, rules := range []bool{true, false} {
		t.Run(fmt.Sprintf("iptables %v", rules), func(t *testing.T) {
			startEngine(t, fmt.Sprintf("--iptables=%v", rules))
			docker(t, "load", "-i", os.Getenv("RHUMB_E2E_IMAGE"))
			s := newServer(t)
			k, v, udp := newStack(t, s, seenApp), newVisitor(t), porttest.Free(t)
			k.env = []string{fmt.Sprintf("UDP=%d", udp)}
			k.must(0, "deploy")
			k.awaitSeen(v, "the network has its addresses of IPv6") // a new bridge makes sure that no other has them
			k.filtered(v, udp)
			k.damaged(v)
		})
	}
}

// filtered checks what the application sees under each setting of the kernel's filters.
func (k *stack) filtered(v *visitor, udp int) {
	k.t.Helper()
	for pattern, values := range map[string][]string{
		"/proc/sys/net/bridge/bridge-nf-call-iptables":  {"0", "1"},
		"/proc/sys/net/bridge/bridge-nf-call-ip6tables": {"0", "1"},
		"/proc/sys/net/ipv4/conf/*/rp_filter":           {"0", "1", "2"},
		"/proc/sys/net/ipv4/conf/*/src_valid_mark":      {"0", "1"},
	} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			k.t.Logf("%s isn't there: not tried", pattern)
			continue
		}
		for _, value := range values {
			for _, p := range paths {
				if err := os.WriteFile(p, []byte(value), 0o644); err != nil {
					k.t.Fatal(err)
				}
			}
			for _, six := range []bool{false, true} {
				seen, _, err := v.seenBy(v.address(six, k.port), "")
				if err != nil || seen != v.own[six].String() {
					k.t.Errorf("%s is %s: over TCP it sees %q (%v), want %s", pattern, value, seen, err, v.own[six])
				}
				if seen, err = v.seenInDatagram(v.address(six, udp)); err != nil || seen != v.own[six].String() {
					k.t.Errorf("%s is %s: over UDP it sees %q (%v), want %s", pattern, value, seen, err, v.own[six])
				}
			}
		}
	}
}

// damaged checks that what the proxy keeps in the kernel is repaired.
func (k *stack) damaged(v *visitor) {
	k.t.Helper()
	for _, damage := range []string{"nft delete table inet " + k.s.nftTable(), "ip rule del pref 1071",
		"ip rule del pref 1070", "ip -6 rule del pref 1071"} {
		args := strings.Fields(damage)
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			k.t.Fatalf("%s: %v: %s", damage, err, out)
		}
		k.awaitSeen(v, "repaired after "+damage)
	}
}

// awaitSeen waits until the application sees the visitor's addresses.
func (k *stack) awaitSeen(v *visitor, what string) {
	k.t.Helper()
	for _, six := range []bool{false, true} {
		eventually(k.t, 5*time.Second, what, func() error {
			seen, _, err := v.seenBy(v.address(six, k.port), "")
			if err == nil && seen != v.own[six].String() {
				err = fmt.Errorf("seen as %s", seen)
			}
			return err
		})
	}
}

// nftTable returns the name of the proxy's table of nftables.
func (s *server) nftTable() string { return "rhumb-" + vip.InstanceOf(filepath.Join(s.data, "proxy")) }

const unseenStack = `services:
  inner:
    image: rhumb-test/app:1
    ports: ["${PORT}:8000"]
    networks: [closed]
    x-rhumb: {ready: {http: /health, port: 8000}}
  both:
    image: rhumb-test/app:1
    ports: ["${BOTH}:8000"]
    networks: [closed, a, b]
    x-rhumb: {ready: {http: /health, port: 8000}}
  host:
    image: rhumb-test/app:1
    environment: {ADDR: ":${HOST}"}
    network_mode: host
    x-rhumb: {routes: [{host: host.test, port: "${HOST}"}], ready: {http: /health, port: "${HOST}"}}
networks: {closed: {internal: true}, a: {}, b: {}}
`

func TestWhereClientsCannotBeSeenNothingIsLost(t *testing.T) {
	needDocker(t)
	s := newServer(t)
	k, v := newStack(t, s, unseenStack), newVisitor(t)
	both := porttest.Free(t)
	k.env = []string{fmt.Sprintf("BOTH=%d", both), fmt.Sprintf("HOST=%d", porttest.Free(t))}
	if out := k.must(0, "plan"); !strings.Contains(out, "services.inner.ports") {
		t.Errorf("plan doesn't say that clients aren't seen:\n%s", out)
	}
	k.must(0, "deploy")
	for range 10 {
		began := time.Now()
		seen, _, err := v.seenBy(v.address(false, k.port), "")
		if took := time.Since(began); err != nil || seen == v.own[false].String() || took > time.Second {
			t.Errorf("over an internal network a client is seen as %q after %s (%v)", seen, took, err)
		}
		if seen, _, err := v.seenBy(v.address(false, both), ""); err != nil || seen != v.own[false].String() {
			t.Errorf("over several networks a client is seen as %q (%v)", seen, err)
		}
		if _, seen, err := v.seenBy(v.address(false, s.entry), "host.test"); err != nil || seen != v.own[false].String() {
			t.Errorf("over the machine's network a client is named %q (%v)", seen, err)
		}
	}
	if out := k.must(0, "routes"); !strings.Contains(out, "internal") {
		t.Errorf("routes doesn't say why:\n%s", out)
	}
	// The machine itself, and a container in the replica's own network.
	k.says(k.url("/"), `"Remote"`)
	network := k.name + "_a"
	out := docker(t, "run", "--rm", "--network", network, "rhumb-test/hops:1", "bash", "-c",
		fmt.Sprintf("exec 3<>/dev/tcp/%s/%d; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3", gatewayOf(t, network), both))
	if !strings.Contains(out, "200 OK") {
		t.Errorf("a container in the replica's network gets %q", out)
	}
}

func gatewayOf(t *testing.T, network string) string {
	t.Helper()
	return strings.TrimSpace(docker(t, "network", "inspect", "-f", "{{(index .IPAM.Config 0).Gateway}}", network))
}
