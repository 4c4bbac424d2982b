package rhumb

import (
	"context"
	"io"
	"iter"
	"time"
)

// Server is all that a daemon offers. control implements it, httpapi puts it on the wire, and httpapi/client
// implements it again at the other end, with the same errors.
type Server interface {
	Deployer
	Inspector
	Operator
	Builder
}

// Deployer changes stacks. Its calls return once the deployment is recorded; Events and Deployment tell how it goes on.
type Deployer interface {
	// Plan tells what Deploy would do, and changes nothing. Images are looked up, not pulled.
	Plan(ctx context.Context, r DeployRequest) (Plan, error)
	// Deploy resolves images, makes a release and begins to roll it out. While images are pulled it reports progress. When the stack is
	// already as the request wants it, the deployment has ID 0 and the phase converged, and no release is made.
	Deploy(ctx context.Context, r DeployRequest, progress func(Event)) (Deployment, error)
	// Change scales, restarts, rolls back or takes down a stack that is there.
	Change(ctx context.Context, r ChangeRequest) (Deployment, error)
	// PlanChange tells what Change would do.
	PlanChange(ctx context.Context, r ChangeRequest) (Plan, error)
	// Cancel has an open deployment put back.
	Cancel(ctx context.Context, stack string, id int64, by string) error
	// Deployment gives one; the stack's last if id is 0.
	Deployment(ctx context.Context, stack string, id int64) (Deployment, error)
	// Deployments lists a stack's, newest first, at most limit (0: all).
	Deployments(ctx context.Context, stack string, limit int) ([]Deployment, error)
}

// DeployRequest asks for a stack to be as its model says.
type DeployRequest struct {
	Model    Stack
	Git      Git                    `json:",omitzero"`
	Origin   string                 `json:",omitzero"` // where the model's files came from, as ReleaseInfo has it
	By       string                 `json:",omitzero"`
	Strategy Strategy               `json:",omitzero"` // "": as the model says
	Auth     map[string]Credentials `json:",omitzero"`
	WaitLock time.Duration          `json:",omitzero"` // how long to wait for another deployment of the stack; 0: refuse at once
	Note     string                 `json:",omitzero"`
}

// Strategy overrides how all services change.
type Strategy string

const (
	StrategyRolling  Strategy = "rolling"
	StrategyRecreate Strategy = "recreate" // every service stop-first, all slots at once
)

// ChangeRequest asks for a change of a deployed stack.
type ChangeRequest struct {
	Stack    string
	Cause    Cause          // scale, restart, rollback or down
	Scale    map[string]int `json:",omitzero"` // scale: replicas by service
	Services []string       `json:",omitzero"` // restart: which; empty: all
	Release  int            `json:",omitzero"` // rollback: where to; 0: the one that served before
	Volumes  bool           `json:",omitzero"` // down: remove its volumes too
	By       string         `json:",omitzero"`
	WaitLock time.Duration  `json:",omitzero"`
}

// Inspector looks and changes nothing.
type Inspector interface {
	Info(ctx context.Context) (ServerInfo, error)
	Stacks(ctx context.Context) ([]StackInfo, error)
	// Status lists a stack's services with their replicas; NotFound if it isn't deployed.
	Status(ctx context.Context, stack string) (StackInfo, error)
	Releases(ctx context.Context, stack string) ([]ReleaseInfo, error)
	// Diff tells how release b differs from release a.
	Diff(ctx context.Context, stack string, a, b int) ([]Difference, error)
	Routes(ctx context.Context) (RouterStatus, error)
	// Certificates tells how the certificates of all hosts stand, sorted by host.
	Certificates(ctx context.Context) ([]CertificateStatus, error)
	// RootCertificate gives the internal authority's certificate in PEM, for clients to trust.
	RootCertificate(ctx context.Context) (string, error)
	Events(ctx context.Context, f EventFilter) iter.Seq2[Event, error]
	// Logs merges what the replicas of the services wrote (all, if none is named), by time.
	Logs(ctx context.Context, stack string, services []string, o LogOptions) iter.Seq2[LogLine, error]
}

// Operator works inside a stack.
type Operator interface {
	// Exec runs a command in a service's replica: the one in the slot, or the first that is ready if slot is 0.
	Exec(ctx context.Context, stack, service string, slot int, o ExecOptions) (int, error)
	// Run starts one more replica of a service's spec with its own command, joins its streams, and removes it when it ends.
	// With o.Release it is the spec of any release that is kept, also of one that never served.
	Run(ctx context.Context, stack, service string, o ExecOptions) (int, error)
	SetValue(ctx context.Context, name string, content io.Reader) error
	RemoveValue(ctx context.Context, name string) error
	Values(ctx context.Context) ([]string, error)
}

// ServerInfo describes a daemon.
type ServerInfo struct {
	Version string
	Started time.Time
	Data    string // its state folder
	Engine  EngineInfo
	Proxy   bool // the proxy answers

	Goroutines int `json:",omitzero"` // of the daemon
}

// StackInfo is a stack as it stands.
type StackInfo struct {
	Name       string
	Release    int             // the current one; 0: none
	Deployment *Deployment     `json:",omitzero"` // the one that goes on, or the last
	Services   []ServiceStatus `json:",omitzero"`
}

// ServiceStatus is a service as it stands.
type ServiceStatus struct {
	Name     string
	Image    string
	Replicas int             // wanted
	Ready    int             // of the wanted ones
	Job      bool            `json:",omitzero"`
	Order    Order           `json:",omitzero"`
	Address  []string        `json:",omitzero"` // "*:80/tcp", "shop.example.com/v1"
	Waiting  int             `json:",omitzero"` // requests and connections that wait in the proxy for a replica
	Waited   time.Duration   `json:",omitzero"` // for how long at least one has; only with Waiting
	Slots    []ReplicaStatus `json:",omitzero"`
}

// ReplicaStatus is a replica as it stands, in words for people too.
type ReplicaStatus struct {
	Replica
	Name   string
	Ready  bool
	Routed string    `json:",omitzero"` // "", "active", "draining"
	Open   int       `json:",omitzero"` // connections and requests in flight
	Status string    // "ready for 3m", "starting", "exited (1), again in 8s", "completed"
	Retry  time.Time `json:",omitzero"` // when it is started again
}
