package rhumb

import (
	"context"
	"io"
	"iter"
	"time"
)

// Server is everything a daemon offers, one interface for each noun. control implements it, httpapi puts it on the
// wire, and httpapi/client implements it again at the other end with the same errors.
//
// Beside the codes that its own comment names, every method returns Cancelled or Timeout if its context ended,
// Unavailable if the server, its engine or its proxy can't be reached, Unsupported if the server doesn't offer the
// method, and Internal for an error that was not foreseen.
type Server interface {
	Deployer
	Stacks
	History
	Traffic
	Insides
	Values
	Builder
}

// Deployer changes stacks. A call that changes a stack returns once the deployment is recorded; History shows how it
// goes on. Repeating such a call asks for another deployment.
type Deployer interface {
	// Plan returns what Deploy would do, and changes nothing. It looks images up but doesn't pull them.
	// Invalid: the model can't be deployed. NotFound: an image, an external network or volume, or a value doesn't
	// exist. Conflict: a port, host, network or volume belongs to something else. Denied: a registry rejects the
	// credentials.
	Plan(ctx context.Context, r DeployRequest) (Plan, error)
	// Deploy resolves images, makes a release and begins to roll it out. While it pulls images it reports progress,
	// which may be nil. If the stack is already as the model asks, no release is made, and the deployment has ID 0
	// and phase converged.
	// Locked: another deployment of the stack is open, and stayed open for r.WaitLock. Unavailable: the disk is nearly
	// full. Otherwise as Plan.
	Deploy(ctx context.Context, r DeployRequest, progress func(Event)) (Deployment, error)
	// Change scales, restarts, rolls back or takes down a stack.
	// Invalid: the request contradicts itself. NotFound: the stack isn't deployed, or has no such service or release.
	// Locked: as Deploy.
	Change(ctx context.Context, r ChangeRequest) (Deployment, error)
	// PlanChange returns what Change would do, and changes nothing. Its errors are those of Change, except Locked.
	PlanChange(ctx context.Context, r ChangeRequest) (Plan, error)
	// Cancel rolls an open deployment back; with id 0, the stack's last one. Cancelling a deployment that is already
	// rolling back changes nothing. The server records the user that it knows from the connection; by is only a note
	// beside it.
	// NotFound: there is no such deployment. Conflict: it has ended.
	Cancel(ctx context.Context, stack string, id int64, by string) error
}

// DeployRequest asks for a stack to be as its model says.
type DeployRequest struct {
	Model    Stack
	Git      Git                    `json:",omitzero"`
	Origin   string                 `json:",omitzero"` // where the model's files came from, as ReleaseInfo has it
	By       string                 `json:",omitzero"` // the client's own claim, a note beside the user: Actor.By
	ID       string                 `json:",omitzero"` // chosen by the client at random: Deployment.Request
	Strategy Strategy               `json:",omitzero"` // "": as the model says
	Auth     map[string]Credentials `json:",omitzero"`
	WaitLock time.Duration          `json:",omitzero"` // how long to wait for another deployment; 0: refuse at once
	Note     string                 `json:",omitzero"`
}

// Strategy is how the slots of a service change. In a DeployRequest it overrides that of every service.
type Strategy string

const (
	StrategyRolling  Strategy = "rolling"
	StrategyRecreate Strategy = "recreate" // stop-first, all slots at once
)

// ChangeRequest asks for a change of a deployed stack.
type ChangeRequest struct {
	Stack    string
	Cause    Cause          // scale, restart, rollback or down
	Scale    map[string]int `json:",omitzero"` // scale: replicas by service
	Services []string       `json:",omitzero"` // restart: which; empty: all
	Release  int            `json:",omitzero"` // rollback: to which release; 0: the last that served before
	Volumes  bool           `json:",omitzero"` // down: remove its volumes too
	By       string         `json:",omitzero"` // as in DeployRequest
	ID       string         `json:",omitzero"` // as in DeployRequest
	WaitLock time.Duration  `json:",omitzero"`
}

// Stacks shows the server and what runs on it. It changes nothing.
type Stacks interface {
	// Info describes the server. It has no errors of its own.
	Info(ctx context.Context) (ServerInfo, error)
	// Stacks returns the stacks that are deployed, sorted by name. It has no errors of its own.
	Stacks(ctx context.Context) ([]StackInfo, error)
	// Status returns a stack with its services and their replicas. NotFound: the stack isn't deployed.
	Status(ctx context.Context, stack string) (StackInfo, error)
}

// History shows what was deployed, how that went, and what happened. It changes nothing.
type History interface {
	// Deployment returns a deployment; with id 0, the stack's last one. NotFound: there is none.
	Deployment(ctx context.Context, stack string, id int64) (Deployment, error)
	// Deployments returns a stack's deployments, newest first, at most limit (0: all). An unknown stack has none.
	Deployments(ctx context.Context, stack string, limit int) ([]Deployment, error)
	// Releases returns a stack's releases, newest first. An unknown stack has none.
	Releases(ctx context.Context, stack string) ([]ReleaseInfo, error)
	// Diff returns how release b differs from release a. NotFound: the stack has no such release.
	Diff(ctx context.Context, stack string, a, b int) ([]Difference, error)
	// Events returns stored events, oldest first, and with f.Follow those that follow, until ctx ends. The sequence
	// ends after its first error.
	Events(ctx context.Context, f EventFilter) iter.Seq2[Event, error]
}

// Traffic shows what the proxy serves. It changes nothing.
type Traffic interface {
	// Routes returns the proxy's table and what it has counted. Unavailable: the proxy doesn't answer.
	Routes(ctx context.Context) (RouterStatus, error)
	// Certificates returns the state of the certificates of all hosts, sorted by host. Unavailable: as Routes.
	Certificates(ctx context.Context) ([]CertificateStatus, error)
	// RootCertificate returns the internal authority's certificate in PEM, for clients to trust. NotFound: there is no
	// internal authority yet.
	RootCertificate(ctx context.Context) (string, error)
}

// Insides reaches into a stack's replicas.
type Insides interface {
	// Logs returns what the replicas of the services wrote (with no services: all of them), merged by time, and with
	// o.Follow what they write, until ctx ends. The sequence ends after its first error.
	// NotFound: the stack isn't deployed, or has no such service.
	Logs(ctx context.Context, stack string, services []string, o LogOptions) iter.Seq2[LogLine, error]
	// Exec runs a command in a service's replica and returns its exit code. It takes the replica in the slot, or with
	// slot 0 the first that is ready.
	// Invalid: there is no command, or it is too long. NotFound: the stack isn't deployed, or has no such service.
	// Unavailable: no such replica runs.
	Exec(ctx context.Context, stack, service string, slot int, o ExecOptions) (int, error)
	// Run starts one more replica of a service with a command of its own, joins its streams, removes it when the
	// command has ended, and returns the exit code. With o.Release it takes the service from that release, which need
	// never have served.
	// Invalid: the command is too long, or can't be started. NotFound: the stack, the release or the service doesn't
	// exist.
	Run(ctx context.Context, stack, service string, o ExecOptions) (int, error)
}

// Values are the contents that external secrets and configs name. They can be set and removed, but not read back.
type Values interface {
	// SetValue stores a value in place of the one with that name. Invalid: the name can't be a value's, or the
	// content is too long.
	SetValue(ctx context.Context, name string, content io.Reader) error
	// RemoveValue removes a value; releases that used it keep their copy. NotFound: there is no such value.
	RemoveValue(ctx context.Context, name string) error
	// Values returns the names of all values, sorted. It has no errors of its own.
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
	Deployment *Deployment     `json:",omitzero"` // the open one, or the last
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
