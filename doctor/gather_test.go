package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"rhumb"
)

// told is a server with fixed answers.
type told struct {
	rhumb.Server
	info   rhumb.ServerInfo
	stacks []rhumb.StackInfo
	routes rhumb.RouterStatus
	err    error
	sends  []rhumb.LogDestination
}

func (s told) Info(context.Context) (rhumb.ServerInfo, error)     { return s.info, s.err }
func (s told) Stacks(context.Context) ([]rhumb.StackInfo, error)  { return s.stacks, s.err }
func (s told) Routes(context.Context) (rhumb.RouterStatus, error) { return s.routes, s.err }

func (s told) LogDestinations(context.Context) ([]rhumb.LogDestination, error) { return s.sends, s.err }

// odd is this machine with some other files and tools.
type odd struct {
	Machine
	files map[string]string
	tools map[string]string // their output; "!": they fail
}

func (o odd) Read(path string) ([]byte, error) {
	if s, ok := o.files[path]; ok {
		return []byte(s), nil
	}
	return nil, fs.ErrNotExist
}

func (o odd) Names(dir string) ([]string, error) {
	var names []string
	for path := range o.files {
		if rest, ok := strings.CutPrefix(path, dir+"/"); ok {
			name, _, _ := strings.Cut(rest, "/")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (o odd) Link(path string) (string, error) {
	b, err := o.Read(path)
	return string(b), err
}

func (o odd) Output(_ context.Context, tool string, _ ...string) ([]byte, error) {
	switch s, ok := o.tools[tool]; {
	case !ok:
		return nil, exec.ErrNotFound
	case s == "!":
		return nil, errBroken
	default:
		return []byte(s), nil
	}
}

func dockerHost() string {
	if h := os.Getenv("DOCKER_HOST"); strings.HasPrefix(h, "unix://") {
		return h
	}
	return usualEngine
}

func dockerClient(t *testing.T, host string) *client.Client {
	t.Helper()
	c, err := client.New(client.WithHost(host))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestGatherReportsSourcesThatDoNotAnswer(t *testing.T) {
	m := odd{}
	f := Gather(t.Context(), Deps{Server: told{err: errBroken}, Engine: dockerClient(t, "unix://"+t.TempDir()+"/none"),
		Files: m, Kernel: m, Network: m,
		Docker: usualEngine, Data: t.TempDir()})
	if f.Server.Err == nil || f.Engine.Err == nil || f.Leftovers.Err == nil || f.Firewall.Err == nil ||
		f.Sockets.Err == nil || f.Memory.Err == nil {
		t.Errorf("%+v", f)
	}
	found := Examine(f)
	if Count(found, Problem) < 2 {
		t.Errorf("%+v", found)
	}
}

func TestObjectsOfAnotherServersStacksAreNotLeftovers(t *testing.T) {
	m := odd{files: map[string]string{"/proc/11/cmdline": "rhumb\x00server\x00--socket=/ours\x00",
		"/proc/12/cmdline": "rhumb\x00server\x00--socket=/other\x00",
		"/proc/13/cmdline": "rhumb\x00server\x00--socket=/far\x00--docker-host=unix:///far\x00"}}
	servers := map[string]told{"/ours": {stacks: []rhumb.StackInfo{{Name: "shop"}}},
		"/other": {stacks: []rhumb.StackInfo{{Name: "blog"}}}}
	d := Deps{Server: servers["/ours"], Files: m, Docker: usualEngine, Dial: func(socket string) (Client, error) {
		if s, ok := servers[socket]; ok {
			return s, nil
		}
		return nil, errBroken
	}}
	all := []Owned{{"shop-web.1.1", "shop"}, {"blog-web.1.1", "blog"}, {"old-web.1.1", "old"}}
	look := func() []Finding {
		f := Facts{Leftovers: Leftovers{Containers: all, Stacks: []string{"shop"}}}
		d.askOthers(t.Context(), daemons(m), &f.Leftovers)
		return leftoversCheck(f)
	}
	found := look()
	if len(found) != 1 || !strings.HasSuffix(found[0].Text, ": old-web.1.1") ||
		strings.Contains(found[0].Hint, "another server") {
		t.Errorf("with the other one's word: %+v", found)
	}
	delete(servers, "/other")
	found = look()
	if len(found) != 1 || !strings.HasSuffix(found[0].Text, ": blog-web.1.1, old-web.1.1") ||
		!strings.HasPrefix(found[0].Hint, "they may belong to another server") {
		t.Errorf("without it: %+v", found)
	}
}

func TestServersAreFoundAmongTheProcesses(t *testing.T) {
	m := odd{files: map[string]string{
		"/proc/11/cmdline": "/usr/bin/rhumb\x00server\x00", "/proc/11/environ": "",
		"/proc/12/cmdline": "rhumb\x00server\x00--docker-host\x00unix:///other\x00",
		"/proc/13/cmdline": "rhumb\x00server\x00--docker-host=unix:///third\x00--socket=run/s\x00", "/proc/13/cwd": "/srv",
		"/proc/14/cmdline": "rhumb\x00server\x00",
		"/proc/14/environ": "A=b\x00RHUMB_DOCKER_HOST=unix:///fourth\x00RHUMB_SOCKET=/fourth.sock\x00",
		"/proc/15/cmdline": "rhumb\x00proxy\x00--state\x00server\x00",
		"/proc/16/cmdline": "vi\x00server\x00",
		"/proc/17/cmdline": "",
		"/proc/net/tcp":    "",
	}}
	want := []Daemon{{11, usualEngine, usualSocket}, {12, "unix:///other", ""},
		{13, "unix:///third", "/srv/run/s"}, {14, "unix:///fourth", "/fourth.sock"}}
	if got := daemons(m); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestToolsThatFailLeaveTheFirewallUnknown(t *testing.T) {
	for _, c := range []struct {
		name  string
		tools map[string]string
		bases int
		fails bool
	}{
		{"none is there", nil, 0, true},
		{"one fails", map[string]string{"iptables-save": "!"}, 0, true},
		{"nft isn't understood", map[string]string{"nft": "{"}, 0, true},
		{"iptables", map[string]string{"iptables-save": "*filter\n:INPUT DROP [0:0]\n"}, 1, false},
		{"both show the same", map[string]string{"iptables-save": "# (nf_tables)\n*filter\n:INPUT DROP [0:0]\n",
			"nft": `{"nftables":[{"chain":{"family":"ip","table":"filter","name":"INPUT","hook":"input","policy":"drop"}}]}`}, 1,
			false},
	} {
		f := Deps{Kernel: odd{tools: c.tools}}.askFirewall(t.Context())
		if len(f.Bases) != c.bases || (f.Err != nil) != c.fails {
			t.Errorf("%s: %+v", c.name, f)
		}
	}
}

func TestTheProxysSocketIsRecognized(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	udp, err := net.ListenPacket("udp", "[::1]:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	d := Deps{Files: Machine{}, Network: Machine{}}
	here, there := ln.Addr().(*net.TCPAddr).AddrPort(), udp.LocalAddr().(*net.UDPAddr).AddrPort()
	routes := rhumb.RouterStatus{PID: os.Getpid(), Table: rhumb.Table{Listeners: []rhumb.Listener{
		{Addr: here, Protocol: rhumb.HTTP}, {Addr: there, Protocol: rhumb.UDP}}}}
	f := Facts{Server: Server{Routes: routes}, Sockets: d.askSockets(t.Context(), routes)}
	if found := portsCheck(f); len(found) != 1 || found[0].Level != OK {
		t.Errorf("ours: %+v", found)
	}
	ln.Close()
	f.Sockets = d.askSockets(t.Context(), routes)
	if found := portsCheck(f); len(found) != 1 || found[0].Level != Problem ||
		!strings.Contains(found[0].Text, "no process listens") {
		t.Errorf("closed: %+v", found)
	}
}

func TestTheProcessReturnsToItsNamespace(t *testing.T) {
	before, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Skip(err)
	}
	for range 20 { // sometimes it runs on the first thread
		if err, denied := (Machine{}).Namespace(); denied {
			t.Skip(err)
		}
		if after, err := os.Readlink("/proc/self/ns/net"); err != nil || after != before {
			t.Fatalf("%v, was in %s, is in %s", err, before, after)
		}
	}
}

func TestNetlinkAnswersThatAreErrorsAreErrors(t *testing.T) {
	answer := func(kind uint16, n int32) []byte {
		b := generationRequest()
		b[4], b[5] = byte(kind), byte(kind>>8)
		return append(b[:16], byte(n), byte(n>>8), byte(n>>16), byte(n>>24))
	}
	if err := netlinkError(answer(unix.NLMSG_ERROR, -int32(unix.EOPNOTSUPP))); !errors.Is(err, unix.EOPNOTSUPP) {
		t.Error(err)
	}
	if err := netlinkError(answer(unix.NLMSG_ERROR, 0)); err != nil {
		t.Error(err)
	}
	if err := netlinkError(answer(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWGEN, 0)); err != nil {
		t.Error(err)
	}
	if netlinkError(nil) == nil || netlinkError(answer(unix.NLMSG_ERROR, 1)[:17]) == nil {
		t.Error("short answers are taken")
	}
}

func TestMemoryIsReadFromTheKernel(t *testing.T) {
	m := parseMemory("MemTotal:  2000 kB\nMemFree: 1 kB\nMemAvailable: 1000 kB\nHugePages: x\n\n")
	if m != (Memory{Total: 2000 << 10, Available: 1000 << 10}) {
		t.Errorf("%+v", m)
	}
	if parseMemory("").Err == nil {
		t.Error("nothing is taken for something")
	}
}

func FuzzSockets(f *testing.F) {
	f.Add("   0: 0100007F:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n")
	f.Add("   0: 00000000000000000000000000000000:0050 0:0 0A 0:0 0:0 0     0        0 4711 1\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, s := range parseSockets(text, false) {
			if !s.Addr.IsValid() {
				t.Errorf("%q gives %v", text, s)
			}
		}
	})
}

// A real engine on this machine, with a volume of an unknown stack.
func TestLeftoversOfARealEngineAreFound(t *testing.T) {
	if testing.Short() {
		t.Skip("needs Docker")
	}
	c := dockerClient(t, dockerHost())
	if _, err := c.Ping(t.Context(), client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("RHUMB_TEST_DOCKER") == "1" {
			t.Fatal(err)
		}
		t.Skip("no Docker Engine: ", err)
	}
	stack := fmt.Sprintf("doctor%d", os.Getpid())
	labels := map[string]string{labelStack: stack}
	v, err := c.VolumeCreate(t.Context(), client.VolumeCreateOptions{Name: stack + "-data", Labels: labels})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = c.VolumeRemove(context.WithoutCancel(t.Context()), v.Volume.Name, client.VolumeRemoveOptions{})
	})
	data := t.TempDir()
	deps := Deps{Server: told{info: rhumb.ServerInfo{Version: "1", Proxy: true, Data: data}}, Engine: c, Files: Machine{},
		Kernel: Machine{}, Network: Machine{}, Docker: dockerHost(),
		Dial: func(string) (Client, error) { return nil, errors.New("servers of other tests aren't asked") }}
	f := Gather(t.Context(), deps)
	if f.Engine.Err != nil || f.Engine.Version == "" || f.Engine.API == "" || f.Engine.Root == "" ||
		f.Leftovers.Err != nil {
		t.Fatalf("%+v %+v", f.Engine, f.Leftovers)
	}
	if !slices.Contains(f.Leftovers.Volumes, Owned{v.Volume.Name, stack}) ||
		!slices.Contains(orphans(f.Leftovers.Volumes, nil), v.Volume.Name) {
		t.Errorf("volumes %v", f.Leftovers.Volumes)
	}
	if f.Kernel.Forward != "1" || !f.Kernel.Overlay || !f.Kernel.Bridge { // the engine runs on it
		t.Errorf("%+v", f.Kernel)
	}
	if len(f.Disks) != 3 || f.Disks[0].Path != data || f.Disks[0].Usable == 0 || f.Memory.Total == 0 ||
		len(f.Addresses) == 0 {
		t.Errorf("%+v %+v", f.Disks, f.Memory)
	}
	for _, x := range Examine(f) {
		t.Logf("%-8s %-10s %s", x.Level, x.Check, x.Text)
	}
	deps.Server = told{info: rhumb.ServerInfo{Data: data}, stacks: []rhumb.StackInfo{{Name: stack}}}
	if f = Gather(t.Context(), deps); slices.Contains(orphans(f.Leftovers.Volumes, f.Leftovers.Stacks), v.Volume.Name) {
		t.Error("a known stack's volume is called left over")
	}
}

func TestNamesAreLookedUpOnceAndNeverWildcards(t *testing.T) {
	names := Deps{Network: Machine{}}.askNames(t.Context(),
		[]rhumb.Rule{{Host: "localhost"}, {Host: "localhost", Path: "/x"}, {Host: "*.example.com"}, {Path: "/api"}})
	if len(names) != 1 || names[0].Host != "localhost" ||
		!slices.Contains(names[0].Addrs, netip.MustParseAddr("127.0.0.1")) {
		t.Errorf("%+v", names)
	}
}
