// Package rhumb is the domain: the nouns and the ports between the rooms.
// It imports only the standard library and does no I/O.
package rhumb

import (
	"fmt"
	"time"
)

// Stack is a named set of services, networks, volumes, configs and secrets: one Compose project in one
// environment, with nothing left to interpolate, merge or read. All lists are sorted by name.
type Stack struct {
	Name     string
	Services []Service
	Networks []Network `json:",omitzero"`
	Volumes  []Volume  `json:",omitzero"`
	Files    []File    `json:",omitzero"` // configs, secrets and snapshotted project files
	Notes    []Note    `json:",omitzero"` // what of the Compose files isn't honoured as written
	// Unversioned are the paths in the project's folder ("./src") that services bind-mount and that no release holds.
	Unversioned []string `json:",omitzero"`
}

// Service gives the service of that name, or nil.
func (s *Stack) Service(name string) *Service {
	if s == nil {
		return nil
	}
	for i := range s.Services {
		if s.Services[i].Name == name {
			return &s.Services[i]
		}
	}
	return nil
}

// Specs gives the services' spec hashes, by name.
func (s *Stack) Specs() map[string]string {
	if s == nil {
		return nil
	}
	hashes := make(map[string]string, len(s.Services))
	for i := range s.Services {
		hashes[s.Services[i].Name] = s.Services[i].Container.Hash()
	}
	return hashes
}

// File gives the file of that kind and name, or nil.
func (s *Stack) File(kind FileKind, name string) *File {
	for i := range s.Files {
		if s.Files[i].Kind == kind && s.Files[i].Name == name {
			return &s.Files[i]
		}
	}
	return nil
}

// Note tells the user what becomes of a Compose key that isn't honoured as written.
type Note struct {
	At      string `json:",omitzero"` // "compose.yaml:12"
	Subject string // "services.web.container_name"
	Fate    Fate
	Why     string
}

func (n Note) String() string { return fmt.Sprintf("%s is %s: %s", n.Subject, n.Fate, n.Why) }

// Fate is what becomes of a Compose key.
type Fate string

const (
	Honoured Fate = "honoured" // done as the specification says
	Emulated Fate = "emulated" // the effect is reached in another way
	Ignored  Fate = "ignored"  // it has no effect here, and why
	Refused  Fate = "refused"  // an error: the engine can't do it
)

// Service is one service of a stack: what a replica of it is, how many there are, and how they change.
type Service struct {
	Name      string
	Container Container     // what a replica is made of; its hash decides whether a replica is current
	Build     *Build        `json:",omitzero"` // nil: the image is pulled
	Pull      PullPolicy    `json:",omitzero"`
	Replicas  int           // the number of slots; 0 is allowed
	Job       bool          `json:",omitzero"` // others await its completion: it runs once per release
	DependsOn []Dependency  `json:",omitzero"`
	Order     Order         // how a slot changes from one replica to the next
	OrderWhy  string        `json:",omitzero"` // why it is stop-first: "mounts volume db read-write"
	Update    Policy        // for deployments
	Rollback  Policy        // for putting back
	Restart   Restart       // what happens when a replica exits
	Ready     Ready         // when a replica counts as ready
	Ports     []Port        `json:",omitzero"` // published through the proxy
	Routes    []Route       `json:",omitzero"` // HTTP routes by host and path
	TLS       TLS           `json:",omitzero"` // the certificates of the routes' hosts
	Drain     time.Duration `json:",omitzero"` // how long a draining replica may keep its connections; 0: none
	Hold      time.Duration `json:",omitzero"` // how long requests wait while no replica is ready; 0: not at all
	PreStart  []PreStart    `json:",omitzero"` // before each replica's start, in this order; those that run once are jobs: HookService
	PostStart []Hook        `json:",omitzero"` // in each replica that was started, in this order, before it counts as ready
	PreStop   []Hook        `json:",omitzero"` // in each replica before its stop signal, in this order
	After     *Check        `json:",omitzero"` // nil: a deployment has converged once all replicas are in place
}

// Served tells whether the proxy leads to the service at all.
func (s *Service) Served() bool { return len(s.Ports) > 0 || len(s.Routes) > 0 }

// Order is how a slot changes from one replica to the next.
type Order string

const (
	StartFirst Order = "start-first" // the new replica is ready before the old one drains
	StopFirst  Order = "stop-first"  // the old replica is gone before the new one starts; requests are held
)

// Policy is how a service changes from one release to another (Compose's update_config and rollback_config).
type Policy struct {
	Parallelism     int           // slots changed at a time; 0: all
	Delay           time.Duration `json:",omitzero"` // between two batches
	Monitor         time.Duration `json:",omitzero"` // a replica that fails within this time after it was ready counts as failed
	MaxFailureRatio float64       `json:",omitzero"` // of the service's slots; 0: none may fail
	OnFailure       FailureAction
}

// FailureAction is what a deployment does when too many replicas fail.
type FailureAction string

const (
	ActionRollback FailureAction = "rollback" // put everything back: the default
	ActionPause    FailureAction = "pause"    // leave it as it is and stop
	ActionContinue FailureAction = "continue" // go on with the other slots
)

// Restart is what happens when a replica exits (Compose's restart and deploy.restart_policy).
type Restart struct {
	Condition   RestartCondition
	Delay       time.Duration `json:",omitzero"` // before the first restart; 0: one second, doubled after each crash up to a minute
	MaxAttempts int           `json:",omitzero"` // 0: no limit
}

// RestartCondition says after which exits a replica is replaced.
type RestartCondition string

const (
	RestartAny       RestartCondition = "any" // the default
	RestartOnFailure RestartCondition = "on-failure"
	RestartNone      RestartCondition = "none"
)

// Dependency is one entry of depends_on.
type Dependency struct {
	Service   string
	Condition Condition
	Optional  bool `json:",omitzero"` // required: false
	Restart   bool `json:",omitzero"` // replace this service's replicas when that one's have changed
}

// Condition is what a dependency waits for.
type Condition string

const (
	DependsStarted   Condition = "service_started"
	DependsHealthy   Condition = "service_healthy"
	DependsCompleted Condition = "service_completed_successfully"
)

// Ready is when a replica counts as ready. The kind "" lets the daemon choose once it knows the image:
// the health check, else a TCP connect to the first routed port, else "still running after the window".
type Ready struct {
	Kind    ReadyKind     `json:",omitzero"`
	Path    string        `json:",omitzero"` // for ReadyHTTP: "/alive"; any status from 200 to 399 is ready
	Port    uint16        `json:",omitzero"` // for ReadyHTTP and ReadyTCP
	Timeout time.Duration `json:",omitzero"` // a replica that isn't ready by then has failed; 0: the daemon's default
}

// ReadyKind is a way to find out whether a replica is ready.
type ReadyKind string

const (
	ReadyHTTP    ReadyKind = "http"
	ReadyTCP     ReadyKind = "tcp"
	ReadyHealth  ReadyKind = "healthcheck"
	ReadyRunning ReadyKind = "running" // still running after the window of Timeout
	ReadyExit    ReadyKind = "exit"    // a job: exited with 0
)

// Network is a network of a stack. Name is the engine's name for it.
type Network struct {
	Key        string // the key in the Compose file
	Name       string
	External   bool              `json:",omitzero"`
	Driver     string            `json:",omitzero"`
	DriverOpts map[string]string `json:",omitzero"`
	Internal   bool              `json:",omitzero"`
	Attachable bool              `json:",omitzero"`
	IPv6       bool              `json:",omitzero"`
	IPAM       IPAM              `json:",omitzero"`
	Labels     map[string]string `json:",omitzero"`
}

// IPAM is a network's address management. The zero value leaves it to the engine.
type IPAM struct {
	Driver  string            `json:",omitzero"`
	Options map[string]string `json:",omitzero"`
	Pools   []Pool            `json:",omitzero"`
}

// Pool is one subnet of a network.
type Pool struct {
	Subnet, Gateway, IPRange string
	Aux                      map[string]string `json:",omitzero"`
}

// Volume is a named volume of a stack. Name is the engine's name for it.
type Volume struct {
	Key        string
	Name       string
	External   bool              `json:",omitzero"`
	Driver     string            `json:",omitzero"`
	DriverOpts map[string]string `json:",omitzero"`
	Labels     map[string]string `json:",omitzero"`
}

// FileKind tells where the content of a mounted file comes from.
type FileKind string

const (
	FileConfig  FileKind = "config"
	FileSecret  FileKind = "secret"
	FileProject FileKind = "project" // a file that the stack bind-mounts read-only from its own folder
	// FileCertificate is a certificate chain and its key, both in PEM, for the proxy: no replica gets it.
	FileCertificate FileKind = "certificate"
)

// File is the content of a config, a secret or a snapshotted project file.
type File struct {
	Kind     FileKind
	Name     string // the config's or secret's key, or the project file's path relative to the project folder
	External string `json:",omitzero"` // the name of the value kept by the server; Content is then filled by the daemon
	Hash     string `json:",omitzero"` // SHA-256 of the content, in hex
	Content  []byte `json:",omitzero"`
}

// Build is how a service's image is built. The context itself travels beside it.
type Build struct {
	Context    string            // the folder, as written
	Dockerfile string            `json:",omitzero"` // relative to the context; "": Dockerfile
	Inline     string            `json:",omitzero"` // dockerfile_inline
	Args       map[string]string `json:",omitzero"`
	Target     string            `json:",omitzero"`
	Labels     map[string]string `json:",omitzero"`
	Platform   string            `json:",omitzero"`
	NoCache    bool              `json:",omitzero"`
	Pull       bool              `json:",omitzero"`
	Network    string            `json:",omitzero"`
	ExtraHosts []string          `json:",omitzero"`
	ShmSize    int64             `json:",omitzero"` // bytes
	CacheFrom  []string          `json:",omitzero"`
	Tags       []string          `json:",omitzero"` // further names for the image
	Secrets    []string          `json:",omitzero"` // keys of the stack's secrets
}
