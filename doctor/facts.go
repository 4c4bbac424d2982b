package doctor

import (
	"net/netip"
	"time"

	"rhumb"
	"rhumb/internal/disk"
)

// Facts is what was seen. Where an Err is set, what stands beside it is not known.
type Facts struct {
	At        time.Time
	Server    Server
	Docker    string   // the engine's address: "unix:///path"
	Daemons   []Daemon // servers among this machine's processes
	Engine    Engine
	Kernel    Kernel
	Sockets   Sockets
	Firewall  Firewall
	Names     []Name // those that routes have
	Addresses []netip.Addr
	Disks     []Disk
	Memory    Memory
	Clock     Clock
	Leftovers Leftovers
}

// Server is what the daemon says of itself.
type Server struct {
	Err    error // it doesn't answer
	Info   rhumb.ServerInfo
	Routes rhumb.RouterStatus
	// RoutesErr tells why the routes aren't known though the server answers.
	RoutesErr error
}

// Daemon is a process that runs "rhumb server".
type Daemon struct {
	PID    int
	Engine string // its --docker-host
	Socket string // where it answers; "": unknown
}

// Engine is what Docker Engine says of itself.
type Engine struct {
	Err         error
	Version     string
	API         string // "1.41"
	Root        string
	Driver      string // of storage
	LiveRestore bool
	Swarm       bool
}

// Kernel is what the kernel can do.
type Kernel struct {
	Overlay   bool
	Bridge    bool
	BridgeNF  string // "0" or "1"; "": br_netfilter isn't loaded
	Forward   string // net.ipv4.ip_forward; "": unknown
	Namespace error  // making a network namespace and speaking to nftables in it
	Denied    bool   // it could not be tried for want of rights
}

// Sockets are the machine's listening sockets.
type Sockets struct {
	Err      error
	Bound    []Socket
	ProxyErr error            // which of them are the proxy's isn't known
	Mute     []netip.AddrPort // addresses of HTTP that took no connection
}

// Socket is a listening socket.
type Socket struct {
	UDP   bool
	Addr  netip.AddrPort
	Inode string
	Proxy bool // the proxy holds it
}

// Firewall is what guards the way into the machine.
type Firewall struct {
	Err   error // nobody could be asked
	Bases []Base
}

// Name is a host name that a route has, looked up.
type Name struct {
	Host  string
	Addrs []netip.Addr
	Err   error
}

// Disk is a folder's file system.
type Disk struct {
	What string // "state folder"
	Path string
	Err  error
	disk.Usage
}

// Memory is the machine's, in bytes.
type Memory struct {
	Err              error
	Total, Available uint64
}

// Clock is the kernel's.
type Clock struct {
	Err    error
	Synced bool
	Error  time.Duration // at most, as the kernel estimates it
}

// Leftovers is what carries rhumb's labels in the engine, and images without a name.
type Leftovers struct {
	Err           error
	Containers    []Owned
	Networks      []Owned
	Volumes       []Owned
	Dangling      int
	DanglingBytes int64
	Stacks        []string // those that the daemon knows, and those of other servers that use the engine
	Strangers     bool     // another server uses the engine and doesn't tell its stacks
	StacksErr     error
}

// Owned is something of a stack's.
type Owned struct{ Name, Stack string }
