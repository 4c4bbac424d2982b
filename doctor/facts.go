package doctor

import (
	"net/netip"
	"time"

	"rhumb"
	"rhumb/internal/disk"
)

// Facts is what Gather found. If an Err field is set, the fields beside it are unknown.
type Facts struct {
	At        time.Time
	Server    Server
	Docker    string   // the engine's address: "unix:///path"
	Daemons   []Daemon // servers among this machine's processes
	Engine    Engine
	Kernel    Kernel
	Sockets   Sockets
	Firewall  Firewall
	Names     []Name // the host names of routes
	Addresses []netip.Addr
	Disks     []Disk
	Memory    Memory
	Clock     Clock
	Leftovers Leftovers
}

// Server is what the daemon reports of itself.
type Server struct {
	Err    error // why it doesn't answer
	Info   rhumb.ServerInfo
	Routes rhumb.RouterStatus
	// RoutesErr is why the routes are unknown although the server answers.
	RoutesErr    error
	Destinations []rhumb.LogDestination // none if the process that keeps logs is away
}

// Daemon is a process that runs "rhumb server".
type Daemon struct {
	PID    int
	Engine string // its --docker-host
	Socket string // its socket; "" if unknown
}

// Engine is what Docker Engine reports of itself.
type Engine struct {
	Err         error
	Version     string
	API         string // "1.41"
	Root        string
	Driver      string // the storage driver
	LiveRestore bool
	Swarm       bool
}

// Kernel is what the kernel supports.
type Kernel struct {
	Overlay   bool
	Bridge    bool
	BridgeNF  string // "0" or "1"; "": br_netfilter isn't loaded
	Forward   string // net.ipv4.ip_forward; "": unknown
	Namespace error  // of creating a network namespace and using nftables in it
	Denied    bool   // Namespace was not tried, for lack of permission
}

// Sockets are the machine's listening sockets.
type Sockets struct {
	Err      error
	Bound    []Socket
	ProxyErr error            // why the proxy's sockets are unknown
	Mute     []netip.AddrPort // HTTP addresses that refused a connection
}

// Socket is a listening socket.
type Socket struct {
	UDP   bool
	Addr  netip.AddrPort
	Inode string
	Proxy bool // the proxy holds it
}

// Firewall is the machine's packet filter for incoming connections.
type Firewall struct {
	Err   error // no tool could list the rules
	Bases []Base
}

// Name is the host name of a route and its addresses.
type Name struct {
	Host  string
	Addrs []netip.Addr
	Err   error
}

// Disk is the file system of a folder.
type Disk struct {
	What string // "state folder"
	Path string
	Err  error
	disk.Usage
}

// Memory is the machine's memory, in bytes.
type Memory struct {
	Err              error
	Total, Available uint64
}

// Clock is the state of the kernel's clock.
type Clock struct {
	Err    error
	Synced bool
	Error  time.Duration // the kernel's estimate of the largest error
}

// Leftovers are the objects in the engine with rhumb's labels, and images without a name.
type Leftovers struct {
	Err           error
	Containers    []Owned
	Networks      []Owned
	Volumes       []Owned
	Dangling      int
	DanglingBytes int64
	Stacks        []string // of the daemon, and of other servers that use the engine
	Strangers     bool     // another server uses the engine, and its stacks are unknown
	StacksErr     error
}

// Owned is an object and the stack that it belongs to.
type Owned struct{ Name, Stack string }
