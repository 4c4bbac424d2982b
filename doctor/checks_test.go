package doctor

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/disk"
)

var errBroken = errors.New("broken")

// well returns facts in which nothing is wrong.
func well() Facts {
	listener := rhumb.Listener{Addr: netip.MustParseAddrPort("[::]:80"), Protocol: rhumb.HTTP}
	at := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	return Facts{
		At:     at,
		Docker: "unix:///run/docker.sock", Daemons: []Daemon{{PID: 1, Engine: "unix:///run/docker.sock"}},
		Server: Server{Info: rhumb.ServerInfo{Version: "1", Proxy: true},
			Routes:       rhumb.RouterStatus{PID: 7, Table: rhumb.Table{Listeners: []rhumb.Listener{listener}}},
			Destinations: []rhumb.LogDestination{{URL: "syslog://logs:601", Sent: 9, FailingSince: at.Add(-failsLong)}}},
		Engine:    Engine{Version: "28.0", API: "1.48", Driver: "overlay2", LiveRestore: true},
		Kernel:    Kernel{Overlay: true, Bridge: true, BridgeNF: "1", Forward: "1"},
		Sockets:   Sockets{Bound: []Socket{{Addr: listener.Addr, Proxy: true}}},
		Names:     []Name{{"a.example", []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil}},
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
		Disks: []Disk{{What: "state folder", Path: "/d",
			Usage: disk.Usage{Used: 79, Usable: 100, Inodes: 100, Free: 21}}},
		Memory:    Memory{Total: 100, Available: 50},
		Clock:     Clock{Synced: true, Error: time.Second},
		Leftovers: Leftovers{Containers: []Owned{{"shop-web.1.1", "shop"}}, Stacks: []string{"shop"}},
	}
}

func TestAHealthyMachineHasOnlyGoodFindings(t *testing.T) {
	found := Examine(well())
	for _, f := range found {
		if f.Level != OK || f.Hint != "" {
			t.Errorf("%+v", f)
		}
	}
	if Count(found, OK) != len(found) || len(found) < 15 {
		t.Errorf("%d findings", len(found))
	}
}

func drops(from string, rules ...Rule) Base {
	return Base{From: from, V4: true, Drops: true, Chain: "INPUT", Chains: map[string][]Rule{"INPUT": rules}}
}

// Each case makes one thing wrong, and wants exactly one finding about it, with a hint.
func TestEachFaultIsReported(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(*Facts)
		check string
		level Level
		text  string // a part of it
	}{
		{"the engine is away", func(f *Facts) { f.Engine = Engine{Err: errBroken} }, "engine", Problem,
			"can't be reached: broken"},
		{"the engine is old", func(f *Facts) { f.Engine.API = "1.40" }, "engine", Problem, "too old"},
		{"no live-restore", func(f *Facts) { f.Engine.LiveRestore = false }, "engine", Warning, "live-restore is off"},
		{"no live-restore in a swarm", func(f *Facts) { f.Engine.LiveRestore, f.Engine.Swarm = false, true }, "engine",
			Warning, "live-restore is off"},
		{"no overlay", func(f *Facts) { f.Kernel.Overlay = false }, "kernel", Problem, "no overlay"},
		{"no bridges", func(f *Facts) { f.Kernel.Bridge = false }, "kernel", Problem, "no bridges"},
		{"no br_netfilter", func(f *Facts) { f.Kernel.BridgeNF = "" }, "kernel", Warning, "br_netfilter"},
		{"no forwarding", func(f *Facts) { f.Kernel.Forward = "0" }, "kernel", Problem, "aren't forwarded"},
		{"forwarding unknown", func(f *Facts) { f.Kernel.Forward = "" }, "kernel", Warning, "can't read whether"},
		{"no nftables", func(f *Facts) { f.Kernel.Namespace = errBroken }, "kernel", Problem, "broken"},
		{"permission denied", func(f *Facts) { f.Kernel.Namespace, f.Kernel.Denied = errBroken, true }, "kernel", Warning,
			"permission denied"},
		{"the proxy is away", func(f *Facts) { f.Server.Info.Proxy = false }, "proxy", Problem, "doesn't answer"},
		{"two servers", func(f *Facts) {
			f.Daemons = append(f.Daemons, Daemon{PID: 2, Engine: "unix:///var/run/docker.sock"})
		}, "server", Warning, "processes 1, 2"},
		{"no process listens", func(f *Facts) { f.Sockets.Bound = nil }, "ports", Problem, "*:80/http: no process listens"},
		{"only UDP listens", func(f *Facts) { f.Sockets.Bound[0].UDP = true }, "ports", Problem, "no process listens"},
		{"another process listens", func(f *Facts) { f.Sockets.Bound[0].Proxy = false }, "ports", Problem, "not the proxy"},
		{"unbound", func(f *Facts) { f.Server.Routes.Unbound = f.Server.Routes.Table.Listeners }, "ports", Problem,
			"doesn't have it"},
		{"mute", func(f *Facts) { f.Sockets.Mute = []netip.AddrPort{f.Sockets.Bound[0].Addr} }, "ports", Problem,
			"accepts no connections"},
		{"no right to see the proxy", func(f *Facts) { f.Sockets.ProxyErr, f.Sockets.Bound[0].Proxy = errBroken, false },
			"ports", Warning, "can't check that the proxy"},
		{"no sockets", func(f *Facts) { f.Sockets.Err = errBroken }, "ports", Warning, "broken"},
		{"iptables drops", func(f *Facts) { f.Firewall.Bases = []Base{drops("iptables")} }, "firewall", Problem,
			"*:80/http: blocked by iptables"},
		{"nft drops", func(f *Facts) { f.Firewall.Bases = []Base{drops("nft inet mine")} }, "firewall", Problem,
			"blocked by nft inet mine"},
		{"firewalld drops", func(f *Facts) { f.Firewall.Bases = []Base{drops("nft inet firewalld")} }, "firewall", Problem,
			"blocked by"},
		{"no firewall to ask", func(f *Facts) { f.Firewall.Err = errBroken }, "firewall", Warning, "broken"},
		{"a name leads elsewhere", func(f *Facts) { f.Addresses = nil }, "names", Warning, "a.example resolves to 192.0.2.1"},
		{"replicas don't see their clients", func(f *Facts) {
			t := &f.Server.Routes.Table
			t.Backends = append(t.Backends, rhumb.Backend{Name: "b", Stack: "shop", Service: "mail"})
			f.Server.Routes.Unseen = map[string]string{"b": "no kernel"}
		}, "clients", Warning, "shop/mail see the proxy's address instead of their clients': no kernel"},
		{"a name leads nowhere", func(f *Facts) { f.Names[0].Err = errBroken }, "names", Warning, "lookup failed"},
		{"a name isn't there", func(f *Facts) {
			f.Names[0].Err = &net.DNSError{Err: "no such host", Name: "a.example", Server: "192.0.2.53"}
		}, "names", Warning, "lookup failed: no such host"},
		{"a disk is nearly full", func(f *Facts) { f.Disks[0].Used = 80 }, "disk", Warning, "80% of"},
		{"a disk is full", func(f *Facts) { f.Disks[0].Used = 90 }, "disk", Problem, "90% of"},
		{"inodes are scarce", func(f *Facts) { f.Disks[0].Free = 20 }, "disk", Warning, "80% of its inodes"},
		{"inodes are used up", func(f *Facts) { f.Disks[0].Free = 0 }, "disk", Problem, "100% of its inodes"},
		{"no disk", func(f *Facts) { f.Disks[0].Err = errBroken }, "disk", Warning, "broken"},
		{"memory is scarce", func(f *Facts) { f.Memory.Available = 10 }, "memory", Warning, "available"},
		{"no memory", func(f *Facts) { f.Memory.Available = 1 }, "memory", Problem, "available"},
		{"the clock runs free", func(f *Facts) { f.Clock.Synced = false }, "clock", Warning, "isn't synchronized"},
		{"the clock is far off", func(f *Facts) { f.Clock.Error = time.Minute }, "clock", Warning, "1m0s"},
		{"a destination lost lines", func(f *Facts) {
			f.Server.Destinations[0].Lost, f.Server.Destinations[0].LastError = 3, "the disk is full"
		}, "forwarding", Warning, "syslog://logs:601: 3 lines are lost: the disk is full"},
		{"a destination fails", func(f *Facts) {
			d := &f.Server.Destinations[0]
			d.FailingSince, d.WaitingLines, d.LastError = f.At.Add(-2*time.Minute), 40, "connection refused"
		}, "forwarding", Warning, "syslog://logs:601: fails for 2m, and 40 lines wait: connection refused"},
		{"a container is left", func(f *Facts) { f.Leftovers.Stacks = nil }, "leftovers", Warning,
			"1 container of stacks that no server here knows: shop-web.1.1"},
		{"a network is left", func(f *Facts) { f.Leftovers.Networks = []Owned{{"n", "old"}} }, "leftovers", Warning,
			"1 network"},
		{"a volume is left", func(f *Facts) { f.Leftovers.Volumes = []Owned{{"v", "old"}, {"w", "old"}} }, "leftovers",
			Warning, "2 volumes"},
		{"stacks unknown", func(f *Facts) { f.Leftovers.StacksErr = errBroken }, "leftovers", Warning, "not checked"},
		{"images without a name", func(f *Facts) { f.Leftovers.Dangling, f.Leftovers.DanglingBytes = 2, 3e9 }, "leftovers",
			OK, "2 images without a name, 3.0 GB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := well()
			c.spoil(&f)
			var told []Finding
			for _, x := range Examine(f) {
				if x.Level != OK || x.Hint != "" {
					told = append(told, x)
				}
			}
			if len(told) != 1 || told[0].Check != c.check || told[0].Level != c.level ||
				!strings.Contains(told[0].Text, c.text) {
				t.Fatalf("told %+v, want one %s of %s with %q", told, c.level, c.check, c.text)
			}
			if told[0].Hint == "" && !strings.Contains(c.text, "broken") {
				t.Error("it doesn't say what to do")
			}
		})
	}
}

func TestChecksThatNeedTheServerAreSkippedWithoutIt(t *testing.T) {
	f := well()
	f.Server = Server{Err: rhumb.Errorf(rhumb.Unavailable, "no server answers").WithHint("start it")}
	f.Leftovers.StacksErr = f.Server.Err
	found := Examine(f)
	if Count(found, Problem) != 1 || found[0].Hint != "start it" {
		t.Errorf("%+v", found)
	}
	if n := Count(found, Warning); n != 6 { // ports, firewall, names, clients, certificates, leftovers
		t.Errorf("%d warnings: %+v", n, found)
	}
}

func TestLeftoversMayBelongToAServerThatDoesNotAnswer(t *testing.T) {
	f := well()
	f.Leftovers.Strangers = true
	f.Leftovers.Stacks = nil
	for _, x := range leftoversCheck(f) {
		if !strings.HasPrefix(x.Hint, "they may belong to another server") {
			t.Errorf("%+v", x)
		}
	}
}

func TestLoopbackPortsNeedNoFirewallRule(t *testing.T) {
	f := well()
	f.Server.Routes.Table.Listeners[0].Addr = netip.MustParseAddrPort("127.0.0.1:80")
	f.Firewall.Bases = []Base{drops("iptables")}
	if found := firewallCheck(f); len(found) != 1 || found[0].Level != OK {
		t.Errorf("%+v", found)
	}
}
