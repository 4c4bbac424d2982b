package compose

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"rhumb"
	"rhumb/compose/internal/diskfile"
	"rhumb/compose/internal/place"
)

// only loads a file with one service and returns the service.
func only(t *testing.T, dir, yaml string) rhumb.Service {
	t.Helper()
	write(t, dir, "compose.yaml", yaml)
	p, err := Load(t.Context(), Options{Dir: dir, Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	return *p.Stack.Service("web")
}

func TestTheOrderIsStopFirstIfTwoReplicasWouldConflict(t *testing.T) {
	t.Parallel()
	cases := []struct {
		says  string
		order rhumb.Order
		why   string
	}{
		{"user: x", rhumb.StartFirst, ""},
		{"volumes: ['vol:/v']", rhumb.StopFirst, "mounts volume vol read-write"},
		{"volumes: ['vol:/v:ro']", rhumb.StartFirst, ""},
		{"volumes: [/v]", rhumb.StopFirst, "mounts an anonymous volume on /v read-write"},
		{"volumes: ['./data:/v']", rhumb.StopFirst, "mounts folder data read-write"},
		{"volumes: ['./data:/v:ro', '/var/run/docker.sock:/var/run/docker.sock', '/etc/localtime:/etc/localtime']",
			rhumb.StartFirst, ""},
		{"tmpfs: [/v]", rhumb.StartFirst, ""},
		{"devices: [/dev/ttyUSB0]", rhumb.StopFirst, "holds device /dev/ttyUSB0"},
		{"network_mode: host", rhumb.StopFirst, "network_mode is host"},
		{"network_mode: none", rhumb.StartFirst, ""},
		{"network_mode: 'container:abc'", rhumb.StopFirst, "shares the network of container:abc"},
		{"ipc: 'container:abc'", rhumb.StopFirst, "shares the memory of container:abc"},
		{"pid: host", rhumb.StartFirst, ""},
		{"networks: {default: {ipv4_address: 10.9.0.4}}", rhumb.StopFirst, "has the static address 10.9.0.4"},
		{"mac_address: 02:42:ac:11:00:02", rhumb.StopFirst, "has a static MAC address"},
		{"ports: ['80:80']", rhumb.StartFirst, ""},
		{"ports: [{target: 80, published: '80', mode: host}]", rhumb.StopFirst, "publishes port 80 with mode: host"},
		{"volumes: ['vol:/v']\n    deploy: {update_config: {order: start-first}}", rhumb.StartFirst, "as update_config says"},
		{"deploy: {update_config: {order: stop-first}}", rhumb.StopFirst, "as update_config says"},
	}
	for _, tc := range cases {
		t.Run(tc.says, func(t *testing.T) {
			s := only(t, t.TempDir(), "services:\n  web:\n    image: x\n    "+tc.says+"\nvolumes: {vol: {}}\n")
			if s.Order != tc.order || s.OrderWhy != tc.why {
				t.Errorf("the order is %s because %q", s.Order, s.OrderWhy)
			}
		})
	}
}

func TestAStrategyIsKeptAsWritten(t *testing.T) {
	t.Parallel()
	const policy = "\n    deploy: {update_config: {order: start-first, parallelism: 2}}"
	const byPolicy = "as update_config says"
	written := rhumb.Service{Order: rhumb.StartFirst, OrderWhy: byPolicy, Update: rhumb.Policy{Parallelism: 2}}
	none := rhumb.Service{Order: rhumb.StartFirst, Update: rhumb.Policy{Parallelism: 1}}
	recreated := rhumb.Service{Order: rhumb.StopFirst, OrderWhy: "strategy recreate"}
	for _, tc := range []struct {
		says          string
		strategy      rhumb.Strategy
		kept, applied rhumb.Service
	}{
		{"user: x", "", none, none},
		{"x-rhumb: {drain: 1s}", "", none, none},
		{"x-rhumb: {strategy: rolling}", rhumb.StrategyRolling, none, none},
		{"x-rhumb: {strategy: rolling}" + policy, rhumb.StrategyRolling, written, written},
		{"x-rhumb: {strategy: recreate}", rhumb.StrategyRecreate, none, recreated},
		{"x-rhumb: {strategy: recreate}" + policy, rhumb.StrategyRecreate, written, recreated},
	} {
		t.Run(tc.says, func(t *testing.T) {
			s := only(t, t.TempDir(), "services:\n  web:\n    image: x\n    "+tc.says+"\n")
			if s.Strategy != tc.strategy {
				t.Errorf("the strategy is %q", s.Strategy)
			}
			for name, c := range map[string]struct{ got, want *rhumb.Service }{
				"kept": {&s, &tc.kept}, "applied": {s.Applied(), &tc.applied},
			} {
				if c.got.Order != c.want.Order || c.got.OrderWhy != c.want.OrderWhy ||
					c.got.Update.Parallelism != c.want.Update.Parallelism {
					t.Errorf("%s: %s (%s), %d at a time", name, c.got.Order, c.got.OrderWhy, c.got.Update.Parallelism)
				}
			}
		})
	}
}

func TestReadOnlyProjectFilesAreKeptInTheRelease(t *testing.T) {
	outside := t.TempDir()
	write(t, outside, "secret", "outside")
	dir := t.TempDir()
	write(t, dir, "small.conf", "one")
	write(t, dir, "folder/inner.conf", "two")
	write(t, dir, "large.bin", strings.Repeat("x", diskfile.MaxSnapshot+1))
	if err := os.Chmod(filepath.Join(dir, "small.conf"), 0o640); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"in": filepath.Join(dir, "small.conf"),
		"out": filepath.Join(outside, "secret")} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	s := only(t, dir, `services:
  web:
    image: x
    volumes:
      - ./small.conf:/small:ro
      - ./small.conf:/writable
      - ./folder:/folder:ro
      - ./large.bin:/large:ro
      - ./in:/in:ro
      - ./out:/out:ro
      - ./missing:/missing:ro
      - `+outside+`/secret:/absolute:ro
`)
	kept := map[string]rhumb.Mount{}
	for _, m := range s.Container.Mounts {
		if m.Type == rhumb.MountFile {
			kept[m.Target] = m
		}
	}
	if len(kept) != 2 || kept["/small"].Source != "small.conf" || kept["/small"].Mode != 0o640 ||
		kept["/in"].Source != "in" {
		t.Errorf("kept %+v", kept)
	}
	before := s.Container.Hash()
	write(t, dir, "small.conf", "changed")
	if s := only(t, dir, mustRead(t, filepath.Join(dir, "compose.yaml"))); s.Container.Hash() == before {
		t.Error("a changed file didn't change the spec hash")
	}
}

func mustRead(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestTheHashDependsOnlyOnTheContainer(t *testing.T) {
	const plain = "services:\n  web:\n    image: x\n"
	want := only(t, t.TempDir(), plain).Container
	for _, same := range []string{
		"    scale: 3\n",
		"    restart: always\n",
		"    labels: {}\n    environment: []\n    dns: []\n    cap_add: []\n    sysctls: {}\n",
		"    deploy: {update_config: {parallelism: 4, order: stop-first}, rollback_config: {delay: 3s}}\n",
		"    x-rhumb: {routes: [a.example.com], drain: 1s, hold: 1s}\n",
		"    networks: [default]\n    profiles: []\n",
	} {
		if diff := cmp.Diff(want, only(t, t.TempDir(), plain+same).Container); diff != "" {
			t.Errorf("%s changes the container (-plain +changed):\n%s", same, diff)
		}
	}
}

func TestDrainAndHoldDependOnWhetherAServiceIsRouted(t *testing.T) {
	for says, want := range map[string][2]time.Duration{
		"user: x":                               {5 * time.Second, 0},
		"ports: [80]":                           {30 * time.Second, rhumb.UsualHold},
		"x-rhumb: {routes: [a.example.com]}":    {30 * time.Second, rhumb.UsualHold},
		"expose: [80]":                          {5 * time.Second, 0},
		"x-rhumb: {drain: 0, hold: 3m}":         {0, 3 * time.Minute},
		"x-rhumb: {drain: 2m}\n    ports: [80]": {2 * time.Minute, rhumb.UsualHold},
	} {
		s := only(t, t.TempDir(), "services:\n  web:\n    image: x\n    "+says+"\n")
		if s.Drain != want[0] || s.Hold != want[1] {
			t.Errorf("%s: drain %s, hold %s", says, s.Drain, s.Hold)
		}
	}
}

// Shuffling the keys of all mappings changes only the lines of notes.
func TestTheOrderOfKeysDoesNotMatter(t *testing.T) {
	t.Parallel()
	r := seeded(t)
	dir, err := filepath.Abs("testdata/long")
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(mustRead(t, filepath.Join(dir, "compose.yaml"))), &doc); err != nil {
		t.Fatal(err)
	}
	var want string
	for i := range 20 {
		if i > 0 {
			shuffle(&doc, r)
		}
		b, err := yaml.Marshal(&doc)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Load(t.Context(),
			Options{Dir: dir, Files: []string{"-"}, Stdin: bytes.NewReader(b), Name: "s", Environ: []string{"CFG=1"}})
		if err != nil {
			t.Fatalf("%v in\n%s", err, b)
		}
		p.Stack.Notes = nil
		got := string(must(json.MarshalIndent(p.Stack, "", " ")))
		if i == 0 {
			want = got
		} else if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("shuffled (-want +got):\n%s", diff)
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func shuffle(n *yaml.Node, r *rand.Rand) {
	if n.Kind == yaml.MappingNode {
		r.Shuffle(len(n.Content)/2, func(i, j int) {
			n.Content[2*i], n.Content[2*j] = n.Content[2*j], n.Content[2*i]
			n.Content[2*i+1], n.Content[2*j+1] = n.Content[2*j+1], n.Content[2*i+1]
		})
	}
	for _, c := range n.Content {
		shuffle(c, r)
	}
}

// A note has the line of its key.
func TestNotesHaveTheLineOfTheirKey(t *testing.T) {
	for folder, files := range map[string][]string{"guestbook": nil, "long": nil,
		"merge": {"compose.yaml", "second.yaml"}} {
		p, err := Load(t.Context(), Options{Dir: "testdata/" + folder, Files: files, Environ: []string{"CFG=1", "TOKEN=1"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range p.Stack.Notes {
			file, line := place.Split(n.At)
			text := strings.Split(mustRead(t, filepath.Join("testdata", folder, file)), "\n")[max(line, 1)-1]
			key := n.Subject[strings.LastIndexByte(n.Subject, '.')+1:]
			if i := strings.IndexByte(key, '['); i >= 0 {
				key = key[:i]
			}
			if key != "volumes" && !strings.Contains(text, key) || key == "volumes" && !strings.Contains(text, "/") {
				t.Errorf("%s: %s is said to be in %q", folder, n, text)
			}
		}
	}
}

func TestConcurrentLoadsDoNotAffectEachOther(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := Load(t.Context(), Options{Dir: "testdata/long", Environ: []string{"CFG=1"}}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(b.Context(), Options{Dir: "testdata/guestbook", Environ: []string{"TOKEN=1"}}); err != nil {
			b.Fatal(err)
		}
	}
}

func TestTheContainerGetsTheMACAddressOfItsOnlyNetwork(t *testing.T) {
	const file = "services:\n  web:\n    image: x\n    networks:\n      a: {mac_address: '%s'}\n%s\nnetworks: {a: " +
		"{}, b: {}}\n"
	if s := only(t, t.TempDir(),
		fmt.Sprintf(file, "02:42:ac:11:00:02", "")); s.Container.MacAddress != "02:42:ac:11:00:02" ||
		s.Order != rhumb.StopFirst {
		t.Errorf("%q, %s", s.Container.MacAddress, s.Order)
	}
	for _, tc := range [][3]string{
		{"02:42:ac:11:00:02", "    mac_address: 02:42:ac:11:00:03", "mac_address of the service is 02:42:ac:11:00:03"},
		{"2:42", "", `"2:42" is not a MAC address`},
	} {
		dir := t.TempDir()
		write(t, dir, "compose.yaml", fmt.Sprintf(file, tc[0], tc[1]))
		_, err := Load(t.Context(), Options{Dir: dir})
		if want := "compose.yaml:5: web.networks.a.mac_address: " + tc[2]; err == nil || err.Error() != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// The server says whether its engine can do it.
func TestKeysOfNewerEnginesAreConverted(t *testing.T) {
	s := only(t, t.TempDir(), `
services:
  web:
    image: x
    annotations: {a: b}
    umask: 0027
    healthcheck: {test: [CMD, x], start_interval: 2s}
    devices: [vendor.com/gpu=0]
    networks:
      a: {mac_address: '02:42:ac:11:00:02', interface_name: inner0, gw_priority: 7, priority: 2}
      b: {}
    volumes:
      - {type: volume, source: v, target: /v, volume: {subpath: s}}
      - {type: image, source: tools, target: /i, image: {subpath: bin}}
      - {type: bind, source: /a, target: /a, read_only: true, bind: {recursive: readonly}}
volumes: {v: {}}
networks: {a: {}, b: {}}
`)
	c := s.Container
	mask := uint32(0o27)
	same(t, "the container", []any{c.Annotations, c.Umask, c.Health.StartInterval, c.MacAddress, c.Devices[0].CDI()},
		[]any{map[string]string{"a": "b"}, &mask, 2 * time.Second, "", true})
	a := c.Networks[0]
	same(t, "a network", []any{a.MAC, a.InterfaceName, a.GatewayPriority}, []any{"02:42:ac:11:00:02", "inner0", 7})
	same(t, "the mounts",
		[]any{c.Mounts[0].Subpath, c.Mounts[1].Type, c.Mounts[1].Source, c.Mounts[1].Subpath, c.Mounts[2].Recursive},
		[]any{"s", rhumb.MountImage, "tools", "bin", "readonly"})
	if s.Order != rhumb.StopFirst {
		t.Error("two replicas would have one MAC address at one time")
	}
}

func TestAnImageWithARefreshPolicyIsAlwaysPulled(t *testing.T) {
	for says, want := range map[string]rhumb.PullPolicy{
		"user: x": rhumb.PullMissing, "pull_policy: missing": rhumb.PullMissing, "pull_policy: never": rhumb.PullNever,
		"pull_policy: daily": rhumb.PullAlways, "pull_policy: refresh\n    pull_refresh_after: 12h": rhumb.PullAlways,
		"pull_refresh_after: 12h": rhumb.PullAlways,
	} {
		if s := only(t, t.TempDir(), "services:\n  web:\n    image: x\n    "+says+"\n"); s.Pull != want {
			t.Errorf("%s: %s", says, s.Pull)
		}
	}
}

// seeded returns random numbers. It logs the seed, which RHUMB_TEST_SEED can set.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if s := os.Getenv("RHUMB_TEST_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("RHUMB_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}
