package rhumb

import (
	"context"
	"io"
	"iter"
	"net/netip"
	"os"
)

// Engine runs replicas. It starts, stops, lists and watches each on its own; rhumb decides the order.
//
// What only some engines can do is an interface of its own: Prober, HostsSetter, LogReader, CommandRunner, Sockets,
// Processes. An engine offers a capability by having its methods, and a caller asks for it by type assertion. Where it
// is absent, the caller returns Unsupported and says what the engine can't do.
//
// Every call is idempotent: repeating it is not an error, and a call that was cut off can be made again. Beside the
// codes that its own comment names, a method returns Unavailable while the engine can't be reached, and Cancelled or
// Timeout if its context ended. An engine changes only what carries rhumb's labels; it only looks at external networks
// and volumes.
type Engine interface {
	// Info describes the engine. It has no errors of its own.
	Info(ctx context.Context) (EngineInfo, error)
	// Holdings returns the networks and volumes that carry the stack's label, sorted. An unknown stack has none.
	Holdings(ctx context.Context, stack string) (Holdings, error)
	ReplicaEngine
	NetworkEngine
	VolumeEngine
}

// ReplicaEngine is the part of an engine that runs replicas. A replica exists from Start to Remove; Stop, or its own
// exit, leaves it behind, dead, with its exit code and logs.
type ReplicaEngine interface {
	// Replicas returns the replicas of a stack, dead ones too, sorted by service, release and slot; with "" those of
	// all stacks.
	Replicas(ctx context.Context, stack string) ([]Replica, error)
	// Start creates and starts a replica. Its files are in place before it starts. Volumes without a name of their own,
	// from its mounts or declared by its image, belong to the slot: AnonymousVolumeName. It joins a network of
	// spec.Beside only if the network still exists and does not become the replica's default route.
	// If a replica of that name and spec already exists, Start starts it if it has never run, and returns it as it is
	// otherwise. If the replica is created but does not start, Start returns it in state exited with Error set, and a
	// nil error.
	// Conflict: a replica of that name has another spec, or a host port is taken. Invalid: the replica can't be created
	// and retrying can't help, for example because a volume, a network or the image is missing.
	Start(ctx context.Context, spec ReplicaSpec) (Replica, error)
	// Stop sends the replica its stop signal, waits for its StopGrace, and kills it. A replica that is gone or has
	// exited is not an error.
	Stop(ctx context.Context, id string) error
	// Remove removes a dead replica but not its volumes. A replica that is gone is not an error. Conflict: it runs.
	Remove(ctx context.Context, id string) error
	// Watch sends a Change whenever a replica of rhumb's may have changed. It may send one for several changes: the
	// receiver looks at the replicas itself. The channel is closed when the engine goes away or ctx ends.
	Watch(ctx context.Context) (<-chan Change, error)
}

// NetworkEngine is the part of an engine that has networks. External networks are the user's: they are neither made nor
// removed.
type NetworkEngine interface {
	// EnsureNetwork creates the stack's network unless it exists. On a bridge of the stack's own it leaves a part of
	// the addresses to the services, if the definition has room for that: Bridge.
	// NotFound: an external network is missing. Conflict: a network of that name belongs to something else or is
	// defined otherwise.
	EnsureNetwork(ctx context.Context, stack string, n Network) error
	// CheckNetwork returns the NotFound and Conflict that EnsureNetwork would, and creates nothing.
	CheckNetwork(ctx context.Context, stack string, n Network) error
	// RemoveNetwork removes a network of the stack. It first disconnects replicas that are in it beside their own
	// networks (ReplicaSpec.Beside). A network that is gone is not an error. Conflict: it is in use.
	RemoveNetwork(ctx context.Context, stack, name string) error
}

// VolumeEngine is the part of an engine that has volumes. It never changes a volume that exists.
type VolumeEngine interface {
	// EnsureVolume creates the stack's volume unless it exists. It accepts a volume without rhumb's labels if v names
	// neither a driver nor options.
	// NotFound: an external volume is missing. Conflict: the volume is another stack's or defined otherwise
	// (Volume.Differs).
	EnsureVolume(ctx context.Context, stack string, v Volume) error
	// CheckVolume returns the NotFound and Conflict that EnsureVolume would, and creates nothing.
	CheckVolume(ctx context.Context, stack string, v Volume) error
	// RemoveVolume removes a volume of the stack with all its data. Rhumb calls it only if a user asked for that. A
	// volume that is gone is not an error. Conflict: it is in use.
	RemoveVolume(ctx context.Context, stack, name string) error
}

// Prober is an Engine that can run health checks inside replicas.
type Prober interface {
	// Probe runs a health check once inside a replica and returns nil if it passes. Otherwise the error's text is the
	// check's output. A check that exceeds its timeout is killed, not left behind.
	// Timeout: the check took too long. NotFound: the replica is gone. Conflict: it doesn't run.
	Probe(ctx context.Context, id string, check Healthcheck) error
}

// HostsSetter is an Engine that can change the hosts files of running replicas.
type HostsSetter interface {
	// SetHosts replaces the names that Start or an earlier SetHosts added to a running replica's hosts file by these,
	// each with its address. The engine's own lines and the container's ExtraHosts stay, and win. A dead replica, or
	// one that shares another's network namespace, is left as it is.
	// Invalid: a name or address can't be in a hosts file. NotFound: the replica is gone.
	SetHosts(ctx context.Context, id string, hosts map[string]string) error
}

// LogReader is an Engine that can read what replicas wrote.
type LogReader interface {
	// Logs returns the lines that a replica wrote, oldest first, up to now or, with o.Follow, until ctx or the replica
	// ends. The sequence ends after its first error. NotFound: the replica is gone.
	Logs(ctx context.Context, id string, o LogOptions) iter.Seq2[LogLine, error]
}

// CommandRunner is an Engine that can run commands with their streams joined.
type CommandRunner interface {
	// Exec runs a command in a running replica and returns its exit code. It is not idempotent, except with o.Once.
	// NotFound: the replica is gone. Conflict: it doesn't run. Invalid: the command can't be started.
	Exec(ctx context.Context, id string, o ExecOptions) (int, error)
	// Run starts a one-off replica (spec.OneOff), waits for its end, removes it, also when ctx ends, and returns its
	// exit code. Invalid: it can't be created or started.
	Run(ctx context.Context, spec ReplicaSpec, s Streams) (int, error)
}

// Sockets is an Engine that can look into its replicas' network namespaces.
type Sockets interface {
	// Listening returns the addresses at which the processes in the replica's network namespace accept TCP connections,
	// sorted. NotFound: the replica is gone or doesn't run. Unsupported: it runs on another machine.
	Listening(ctx context.Context, id string) ([]netip.AddrPort, error)
}

// Processes is an Engine whose replicas are processes of this machine.
type Processes interface {
	// Process returns the first process of a running replica, or of a paused one. It stays the same until the replica
	// ends. NotFound: the replica is gone. Conflict: it doesn't run.
	Process(ctx context.Context, id string) (ReplicaProcess, error)
}

// ReplicaProcess is the first process of a replica.
type ReplicaProcess struct {
	PID     int  // as this machine sees it
	Network bool // it has network interfaces of its own, not those of the machine or of another replica
}

// EngineInfo describes an engine.
type EngineInfo struct {
	Name       string // "Docker Engine"
	Host       string `json:",omitzero"` // where the server reaches it: "unix:///path"
	Version    string
	APIVersion string
	OS, Arch   string
	Root       string // where it keeps its data
	CPUs       int
	Memory     int64 // bytes
}

// Holdings are what a stack has in an engine beside its replicas.
type Holdings struct {
	Networks []string
	Volumes  []string // those of slots too
	Bridges  []Bridge `json:",omitzero"` // the networks that are bridges of this machine; never external ones
}

// Bridge is a network of a stack on this machine.
type Bridge struct {
	Network   string       // the engine's name
	ID        string       // the engine's
	Interface string       // the server's bridge
	Subnet    netip.Prefix // IPv4
	Gateway   netip.Addr
	// Addresses is the part of the subnet that the engine leaves to service addresses; the zero Prefix: there is
	// none. It may contain the subnet's broadcast address, and static addresses of replicas (Attachment.IPv4).
	Addresses netip.Prefix
}

// ReplicaSpec is all that an engine needs to start one replica.
type ReplicaSpec struct {
	Stack, Service string
	Release, Slot  int
	OneOff         string // for Run: a word that makes the name unique; a one-off has slot 0 and belongs to no service
	Restarts       int    // kept with the replica
	PostStart      bool   // kept with the replica: commands must run in it before it counts as ready
	VolumesOf      string // the service whose slot's nameless volumes it mounts; "": its own
	Container      Container
	Spec           string            // Container.Hash(), kept with the replica
	Files          []File            // those that Container.Mounts name, with their contents
	Joined         map[string]string // by service: the ID of the replica behind "service:NAME" modes and VolumesFrom
	Beside         []Attachment      // networks that it joins beside its own, until they are removed; not part of the spec
	// Hosts are further names for the hosts file, with their addresses. They are not part of the spec; SetHosts
	// replaces them.
	Hosts map[string]string
}

// Name returns the replica's name.
func (s *ReplicaSpec) Name() string {
	if s.OneOff != "" {
		return s.Stack + "-" + s.Service + ".run." + s.OneOff
	}
	return ReplicaName(s.Stack, s.Service, s.Release, s.Slot)
}

// Change says that something may have changed. Empty fields mean: look at everything.
type Change struct {
	Stack, Replica string
}

// ExecOptions is a command to run in a replica.
type ExecOptions struct {
	Command    []string
	Env        []string `json:",omitzero"` // "K=V"
	User       string   `json:",omitzero"`
	WorkingDir string   `json:",omitzero"`
	Privileged bool     `json:",omitzero"`
	TTY        bool     `json:",omitzero"`
	Entrypoint []string `json:",omitzero"` // of a one-off; nil: the service's; not nil and empty: none
	Release    int      `json:",omitzero"` // of a one-off: the release that defines the service; 0: the one that serves
	Streams    Streams  `json:"-"`
	// Once is a word for the command. If a command with the same word still runs in the same replica, because the
	// daemon that began it has died, it is killed first. "": any number of commands may run.
	Once string `json:"-"`
}

// Streams are the standard streams of a command. A nil stream is not joined.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Resize   <-chan Size // the terminal's size, and each change of it
	Begun    func()      // called once the command of a one-off runs; may be nil
	// Signals are passed on to the command of a one-off. nil: none are.
	Signals <-chan os.Signal
}

// Size is a terminal's size in characters.
type Size struct{ Rows, Cols uint16 }
