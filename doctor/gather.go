package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/internal/disk"
)

// Deadlines of the queries.
const (
	askTimeout  = 10 * time.Second // the server and the engine
	toolTimeout = 5 * time.Second
	nameTimeout = 2 * time.Second
	dialTimeout = time.Second
)

// Client is the part of a daemon's client that Gather queries.
type Client interface {
	Info(ctx context.Context) (rhumb.ServerInfo, error)
	Stacks(ctx context.Context) ([]rhumb.StackInfo, error)
	Routes(ctx context.Context) (rhumb.RouterStatus, error)
	LogDestinations(ctx context.Context) ([]rhumb.LogDestination, error)
}

// engine is the part of Docker's client that Gather queries. All of it only reads.
type engine interface {
	Ping(ctx context.Context, o client.PingOptions) (client.PingResult, error)
	ClientVersion() string
	Info(ctx context.Context, o client.InfoOptions) (client.SystemInfoResult, error)
	ContainerList(ctx context.Context, o client.ContainerListOptions) (client.ContainerListResult, error)
	NetworkList(ctx context.Context, o client.NetworkListOptions) (client.NetworkListResult, error)
	VolumeList(ctx context.Context, o client.VolumeListOptions) (client.VolumeListResult, error)
	ImageList(ctx context.Context, o client.ImageListOptions) (client.ImageListResult, error)
}

// files are the machine's files.
type files interface {
	// Read returns a file's beginning, at most 16 MB of it.
	Read(path string) ([]byte, error)
	Names(dir string) ([]string, error)
	Link(path string) (string, error)
	Exists(path string) bool
	Space(path string) (disk.Usage, error)
}

// kernel is what only system calls and tools can report.
type kernel interface {
	Clock() (Clock, error)
	// Namespace creates a network namespace and uses nftables in it. denied means that it lacks the permission.
	Namespace() (err error, denied bool)
	// Output runs a tool and returns its output. It returns exec.ErrNotFound if the tool isn't installed.
	Output(ctx context.Context, tool string, args ...string) ([]byte, error)
}

// network is the machine's resolver and its addresses.
type network interface {
	Lookup(ctx context.Context, host string) ([]netip.Addr, error)
	Addresses() ([]netip.Addr, error)
	Dial(ctx context.Context, a netip.AddrPort) error
}

// Deps are the sources that Gather queries.
type Deps struct {
	Server  Client
	Engine  engine
	Files   files
	Kernel  kernel
	Network network
	Docker  string                              // the engine's address: "unix:///path"
	Dial    func(socket string) (Client, error) // connects to another server on this machine
	Data    string                              // the state folder, if the server doesn't report it
}

// Gather queries all sources. It never fails: a source that doesn't answer leaves an error in the facts.
func Gather(ctx context.Context, d Deps) Facts {
	f := Facts{At: time.Now(), Docker: d.Docker}
	f.Daemons = daemons(d.Files)
	f.Engine = d.askEngine(ctx)
	f.Leftovers = d.askLeftovers(ctx)
	f.Server = d.askServer(ctx, &f.Leftovers) // after the engine, so that the stacks of all leftovers are known
	d.askOthers(ctx, f.Daemons, &f.Leftovers)
	f.Kernel = d.askKernel()
	f.Sockets = d.askSockets(ctx, f.Server.Routes)
	f.Firewall = d.askFirewall(ctx)
	f.Names = d.askNames(ctx, f.Server.Routes.Table.Rules)
	f.Addresses, _ = d.Network.Addresses() // without addresses, no name resolves to this machine
	f.Disks = d.askDisks(f)
	f.Memory = readMemory(d.Files)
	clock, err := d.Kernel.Clock()
	clock.Err = err
	f.Clock = clock
	return f
}

func (d Deps) askServer(ctx context.Context, l *Leftovers) Server {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var s Server
	if s.Info, s.Err = d.Server.Info(ctx); s.Err != nil {
		l.StacksErr = s.Err
		return s
	}
	s.Routes, s.RoutesErr = d.Server.Routes(ctx)
	s.Destinations, _ = d.Server.LogDestinations(ctx) // rhumb logs reports that the process that keeps logs is away
	stacks, err := d.Server.Stacks(ctx)
	l.StacksErr = err
	for _, st := range stacks {
		l.Stacks = append(l.Stacks, st.Name)
	}
	return s
}

// askOthers queries the other servers that use the engine for their stacks. It queries the first server again, which
// is harmless.
func (d Deps) askOthers(ctx context.Context, daemons []Daemon, l *Leftovers) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	using := slices.DeleteFunc(slices.Clone(daemons), func(o Daemon) bool { return !sameSocket(o.Engine, d.Docker) })
	if len(using) < 2 {
		return
	}
	for _, o := range using {
		names, err := d.stacksOf(ctx, o)
		l.Stacks, l.Strangers = append(l.Stacks, names...), l.Strangers || err != nil
	}
}

func (d Deps) stacksOf(ctx context.Context, o Daemon) ([]string, error) {
	if o.Socket == "" {
		return nil, errors.New("its socket is unknown")
	}
	s, err := d.Dial(o.Socket)
	if err != nil {
		return nil, err
	}
	stacks, err := s.Stacks(ctx)
	var names []string
	for _, st := range stacks {
		names = append(names, st.Name)
	}
	return names, err
}

func (d Deps) askEngine(ctx context.Context) Engine {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if _, err := d.Engine.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true}); err != nil {
		return Engine{Err: err}
	}
	r, err := d.Engine.Info(ctx, client.InfoOptions{})
	if err != nil {
		return Engine{Err: err}
	}
	return Engine{Version: r.Info.ServerVersion, API: d.Engine.ClientVersion(), Root: r.Info.DockerRootDir,
		Driver:      r.Info.Driver,
		LiveRestore: r.Info.LiveRestoreEnabled, Swarm: r.Info.Swarm.LocalNodeState == "active"}
}

// labelStack is the label of every object that the engine/docker package creates for a stack.
const labelStack = "dev.rhumb.stack"

func (d Deps) askLeftovers(ctx context.Context) Leftovers {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	ours := client.Filters{}.Add("label", labelStack)
	cs, err1 := d.Engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: ours})
	ns, err2 := d.Engine.NetworkList(ctx, client.NetworkListOptions{Filters: ours})
	vs, err3 := d.Engine.VolumeList(ctx, client.VolumeListOptions{Filters: ours})
	is, err4 := d.Engine.ImageList(ctx, client.ImageListOptions{Filters: client.Filters{}.Add("dangling", "true")})
	l := Leftovers{Dangling: len(is.Items)}
	for _, err := range []error{err1, err2, err3, err4} {
		if err != nil {
			return Leftovers{Err: err}
		}
	}
	for _, c := range cs.Items {
		name := c.ID
		if len(c.Names) > 0 {
			name = strings.TrimPrefix(c.Names[0], "/")
		}
		l.Containers = append(l.Containers, Owned{name, c.Labels[labelStack]})
	}
	for _, n := range ns.Items {
		l.Networks = append(l.Networks, Owned{n.Name, n.Labels[labelStack]})
	}
	for _, v := range vs.Items {
		l.Volumes = append(l.Volumes, Owned{v.Name, v.Labels[labelStack]})
	}
	for _, i := range is.Items {
		l.DanglingBytes += i.Size
	}
	return l
}

func (d Deps) askKernel() Kernel {
	k := Kernel{BridgeNF: word(d.Files, "/proc/sys/net/bridge/bridge-nf-call-iptables"),
		Forward: word(d.Files, "/proc/sys/net/ipv4/ip_forward")}
	for _, line := range strings.Split(word(d.Files, "/proc/filesystems"), "\n") {
		fields := strings.Fields(line)
		k.Overlay = k.Overlay || len(fields) > 0 && fields[len(fields)-1] == "overlay"
	}
	for _, path := range []string{"/sys/module/bridge", "/proc/sys/net/bridge", "/sys/class/net/docker0/bridge"} {
		k.Bridge = k.Bridge || d.Files.Exists(path)
	}
	k.Namespace, k.Denied = d.Kernel.Namespace()
	return k
}

// word returns a file's content without surrounding space; "" if it can't be read.
func word(f files, path string) string {
	b, err := f.Read(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

func (d Deps) askSockets(ctx context.Context, routes rhumb.RouterStatus) Sockets {
	s, err := listening(d.Files)
	if err != nil {
		return Sockets{Err: err}
	}
	own, err := socketsOf(d.Files, routes.PID)
	for i := range s {
		s[i].Proxy = own[s[i].Inode]
	}
	out := Sockets{Bound: s, ProxyErr: err}
	for _, l := range routes.Table.Listeners {
		if l.Protocol != rhumb.HTTP { // a TCP connection would reach the application
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, dialTimeout)
		if d.Network.Dial(ctx, reachable(l.Addr)) != nil {
			out.Mute = append(out.Mute, l.Addr)
		}
		cancel()
	}
	return out
}

// reachable returns an address at which this machine can reach a listener.
func reachable(a netip.AddrPort) netip.AddrPort {
	if a.Addr().IsUnspecified() {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), a.Port())
	}
	return a
}

// askFirewall queries iptables and nftables, if they are installed.
func (d Deps) askFirewall(ctx context.Context) Firewall {
	var f Firewall
	var answers []error // one for each tool
	byNft := false
	for _, tool := range []string{"iptables", "ip6tables"} {
		answers = append(answers, d.askTool(ctx, func(out []byte) error {
			bases, nft := parseIptables(string(out), tool, tool == "ip6tables")
			f.Bases, byNft = append(f.Bases, bases...), byNft || nft
			return nil
		}, tool+"-save"))
	}
	answers = append(answers, d.askTool(ctx, func(out []byte) error {
		bases, err := parseNft(out, func(family, table string) bool {
			return byNft && table == "filter" && (family == "ip" || family == "ip6")
		})
		f.Bases = append(f.Bases, bases...)
		return err
	}, "nft", "-j", "list", "ruleset"))
	slices.SortFunc(f.Bases, func(a, b Base) int { return strings.Compare(a.From, b.From) })
	f.Err = unanswered(answers)
	return f
}

// askTool runs a tool and passes its output to read. It returns exec.ErrNotFound if the tool isn't installed.
func (d Deps) askTool(ctx context.Context, read func([]byte) error, tool string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, toolTimeout)
	defer cancel()
	out, err := d.Kernel.Output(ctx, tool, args...)
	if err == nil {
		err = read(out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", tool, err)
	}
	return nil
}

// unanswered returns why the firewall is unknown: an installed tool failed, or none is installed.
func unanswered(answers []error) error {
	var failed []string
	missing := 0
	for _, err := range answers {
		switch {
		case errors.Is(err, exec.ErrNotFound):
			missing++
		case err != nil:
			failed = append(failed, err.Error())
		}
	}
	switch {
	case len(failed) > 0:
		return errors.New(strings.Join(failed, "; "))
	case missing == len(answers):
		return errors.New("neither iptables-save nor nft is installed")
	}
	return nil
}

// maxNames is how many names are looked up, and manyNames how many at once.
const (
	maxNames  = 200
	manyNames = 8
)

// askNames looks up the host names of the rules, without wildcards.
func (d Deps) askNames(ctx context.Context, rules []rhumb.Rule) []Name {
	var hosts []string
	for _, r := range rules {
		if r.Host != "" && !strings.Contains(r.Host, "*") {
			hosts = append(hosts, r.Host)
		}
	}
	slices.Sort(hosts)
	hosts = slices.Compact(hosts)
	names := make([]Name, min(len(hosts), maxNames))
	turn := make(chan struct{}, manyNames)
	var all sync.WaitGroup
	for i := range names {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			ctx, cancel := context.WithTimeout(ctx, nameTimeout)
			defer cancel()
			addrs, err := d.Network.Lookup(ctx, hosts[i])
			names[i] = Name{hosts[i], addrs, err}
		})
	}
	all.Wait()
	return names
}

func (d Deps) askDisks(f Facts) []Disk {
	data := d.Data
	if f.Server.Err == nil && f.Server.Info.Data != "" {
		data = f.Server.Info.Data
	}
	what := []Disk{{What: "state folder", Path: data}, {What: "runtime folder", Path: "/run"}}
	if f.Engine.Err == nil && f.Engine.Root != "" {
		what = slices.Insert(what, 1, Disk{What: "Docker's folder", Path: f.Engine.Root})
	}
	for i, w := range what {
		what[i].Usage, what[i].Err = d.Files.Space(w.Path)
	}
	return what
}
