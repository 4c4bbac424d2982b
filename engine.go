package rhumb

import (
	"context"
	"io"
	"iter"
	"net/netip"
	"os"
	"time"
)

// Engine runs replicas. It starts, stops, lists and watches single ones; the order is rhumb's.
// Every call is idempotent: doing again what is done is not an error, and a call that was cut off can be made again.
// All of them answer Unavailable while the engine can't be reached, and NotFound for what isn't there, unless said otherwise.
// An engine touches only what carries rhumb's labels, except that external networks and volumes are looked at.
type Engine interface {
	Info(ctx context.Context) (EngineInfo, error)

	// EnsureNetwork makes the stack's network unless it is there. An external one that is missing is NotFound; one of
	// that name that isn't the stack's own, or that is defined otherwise, is Conflict. On a bridge that is the stack's own
	// a part of the addresses is left to the services, where its definition has room for that: Bridge.
	EnsureNetwork(ctx context.Context, stack string, n Network) error
	// CheckNetwork returns NotFound and Conflict as EnsureNetwork would, and makes nothing.
	CheckNetwork(ctx context.Context, stack string, n Network) error
	// EnsureVolume makes the stack's volume unless it is there. An external one that is missing is NotFound. A volume
	// that is there is never changed: another stack's, and one that is defined otherwise (Volume.Differs), is Conflict.
	// One without a label of rhumb's is taken as it is where v names neither a driver nor options.
	EnsureVolume(ctx context.Context, stack string, v Volume) error
	// CheckVolume returns NotFound and Conflict as EnsureVolume would, and makes nothing.
	CheckVolume(ctx context.Context, stack string, v Volume) error
	// RemoveNetwork removes a network of the stack. One that is gone is not an error; one in use is Conflict. Replicas
	// that are in it beside their own networks are taken out of it first.
	RemoveNetwork(ctx context.Context, stack, name string) error
	// RemoveVolume removes a volume. One that is gone is not an error; one in use is Conflict. Only a person's own word leads here.
	RemoveVolume(ctx context.Context, stack, name string) error
	// Holdings lists the networks and volumes that carry the stack's label, sorted.
	Holdings(ctx context.Context, stack string) (Holdings, error)

	// Replicas lists the replicas of a stack, dead ones too, sorted by service, release, slot; "" lists all stacks'.
	Replicas(ctx context.Context, stack string) ([]Replica, error)
	// Start makes and starts a replica. Volumes without a name of their own, from its mounts or declared by its image,
	// are the slot's: AnonymousVolumeName. One of that name and spec that is there already is started if it never was, and
	// answered as it is if it was; one of that name and another spec is Conflict. Its files are in place before it
	// starts. A replica that was made but could not be started remains, exited, with its Error, and is answered with a nil
	// error; one that can't be made is an error: Invalid if trying again is vain, as where a volume with a name isn't there.
	// It joins the networks of Beside only where they don't become its way out, and where they are still there.
	Start(ctx context.Context, spec ReplicaSpec) (Replica, error)
	// SetHosts makes a running replica's hosts file have exactly these further names, each with its address, in place of
	// those given before: at its start, or by an earlier SetHosts. The engine's own lines and the container's
	// ExtraHosts stay, and win. A dead replica, or one that shares another's network namespace, is left as it is. A name or address
	// that can't stand in a hosts file is Invalid.
	SetHosts(ctx context.Context, id string, hosts map[string]string) error
	// Stop sends the replica's stop signal, waits as long as its StopGrace, and kills. A replica that is gone or has exited is not an error.
	Stop(ctx context.Context, id string) error
	// Remove removes a dead replica, and leaves its volumes, anonymous ones too. One that is gone is not an error; one
	// that runs is Conflict.
	Remove(ctx context.Context, id string) error
	// Watch sends something whenever a replica of rhumb's may have changed; several changes may be told as one, and
	// the receiver looks for itself. The channel is closed when the engine goes away or ctx ends.
	Watch(ctx context.Context) (<-chan Change, error)
	// Probe runs a health check once inside a replica. nil is healthy; otherwise the error's text is the check's output.
	// A check past its timeout is killed, not left behind.
	Probe(ctx context.Context, id string, check Healthcheck) error

	// Logs reads what a replica wrote, oldest first, until its end or, with Follow, until ctx or the replica ends.
	Logs(ctx context.Context, id string, o LogOptions) iter.Seq2[LogLine, error]
	// Exec runs a command in a replica and returns its exit code.
	Exec(ctx context.Context, id string, o ExecOptions) (int, error)
	// Run starts a one-off replica with its streams joined, waits for its end, removes it, and returns its exit code.
	Run(ctx context.Context, spec ReplicaSpec, s Streams) (int, error)
}

// Sockets is what an Engine offers that can look into its replicas' network namespaces. Not every engine can.
type Sockets interface {
	// Listening lists the addresses at which the replica's processes, or those with which it shares its network, accept TCP
	// connections, sorted. It is NotFound for a replica that isn't there or doesn't run, and Unsupported where the replica
	// runs on another machine.
	Listening(ctx context.Context, id string) ([]netip.AddrPort, error)
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

// Holdings is what a stack has in an engine beside its replicas.
type Holdings struct {
	Networks []string
	Volumes  []string // slots' own ones too
	Bridges  []Bridge `json:",omitzero"` // those of the networks that are bridges of this machine, never external ones
}

// Bridge is a network of the stack as it is on this machine.
type Bridge struct {
	Network   string       // the engine's name
	ID        string       // the engine's
	Interface string       // the server's bridge
	Subnet    netip.Prefix // IPv4
	Gateway   netip.Addr
	// Addresses is the part of the subnet from which the engine gives nothing to replicas, so that services can have
	// addresses there; the zero Prefix: there is none. The subnet's last address, its broadcast, may be in it, and so may
	// addresses that replicas are given by name (Attachment.IPv4).
	Addresses netip.Prefix
}

// ReplicaSpec is all that an engine needs to start one replica.
type ReplicaSpec struct {
	Stack, Service string
	Release, Slot  int
	OneOff         string // for Run: a word that makes the name unique; such a replica has slot 0 and is nobody's
	Restarts       int    // kept with the replica
	PostStart      bool   // kept with the replica: commands are to run in it before it counts as ready
	VolumesOf      string // the service whose slot's nameless volumes it mounts; "": its own
	Container      Container
	Spec           string            // Container.Hash(), kept with the replica
	Files          []File            // with their contents: those that Container.Mounts name
	Joined         map[string]string // by service: the ID of the replica that "service:NAME" modes and VolumesFrom mean
	Beside         []Attachment      // networks that it is in, beside its own, until they are removed; not part of the spec
	Hosts          map[string]string // further names for the hosts file, with their addresses; not part of the spec, and replaced by SetHosts
}

// Name gives the replica's name.
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

// LogOptions chooses log lines. The zero value is all of them.
type LogOptions struct {
	Follow       bool
	Tail         int // the last n lines; 0: all; negative: none of the old ones
	Since, Until time.Time
}

// LogLine is one line that a replica wrote, without its line end.
type LogLine struct {
	Time    time.Time
	Stack   string
	Service string
	Replica string // its name
	Stderr  bool   `json:",omitzero"`
	Text    string
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
	Release    int      `json:",omitzero"` // of a one-off: whose definition of the service; 0: the one that serves
	Streams    Streams  `json:"-"`
	// Once is a word for the command. One that was begun under the same word in the same replica and still runs, because
	// who began it has died, is killed first. "": any number of them may run.
	Once string `json:"-"`
}

// Streams are the standard streams of a command. A nil stream is not joined.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	Resize   <-chan Size // the terminal's size, and each change of it
	Begun    func()      // called once the command of a one-off runs; nil: nobody asks
	// Signals are passed on to the command of a one-off, which takes them as it likes; nil: none are.
	Signals <-chan os.Signal
}

// Size is a terminal's size in characters.
type Size struct{ Rows, Cols uint16 }
