// Package rhumb is the domain: the nouns, and the ports between the packages. It imports only the standard library and
// does no I/O.
//
// One set of types serves four purposes: they are the Go API, the format of the store, the format on the wire, and the
// input of the spec hash. A stored release must stay readable and its hashes must stay the same, so no field of Stack,
// or of anything in it, may be renamed, removed or given another form. A new field is omitted when it is zero
// (json:",omitzero"). TestNoFieldOfAStackIsRenamed and TestSpecHashesStayAsTheyWereReleased hold this.
package rhumb

import (
	"fmt"
	"strings"
	"time"
)

// Stack is a named set of services, networks, volumes, configs and secrets: one Compose project in one environment.
// Nothing in it is left to interpolate, merge or read. All lists are sorted by name.
type Stack struct {
	Name     string
	Services []Service
	Networks []Network `json:",omitzero"`
	Volumes  []Volume  `json:",omitzero"`
	Files    []File    `json:",omitzero"` // configs, secrets and snapshotted project files
	Notes    []Note    `json:",omitzero"` // the keys of the Compose files that aren't honoured as written
	// Unversioned are the paths in the project's folder ("./src") that services bind-mount but no release contains.
	Unversioned []string  `json:",omitzero"`
	Logs        LogLimits `json:",omitzero"` // what is kept of the stack's lines
	// Alerts are the stack's own rules, those of its services, and rules of rhumb's that it turns off or changes.
	Alerts []AlertRule `json:",omitzero"`
}

// Service returns the service of that name, or nil.
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

// Specs returns the services' spec hashes, by name.
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

// File returns the file of that kind and name, or nil.
func (s *Stack) File(kind FileKind, name string) *File {
	for i := range s.Files {
		if s.Files[i].Kind == kind && s.Files[i].Name == name {
			return &s.Files[i]
		}
	}
	return nil
}

// Note is a message for the user about a Compose key that isn't honoured as written.
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
	Emulated Fate = "emulated" // rhumb reaches the effect in another way
	Ignored  Fate = "ignored"  // it has no effect; Why says why
	Refused  Fate = "refused"  // an error: neither rhumb nor the engine can do it
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
	Strategy  Strategy      `json:",omitzero"` // as the user wrote it, or "": Applied returns what comes of it
	Update    Policy        // for deployments
	Rollback  Policy        // for putting back
	Restart   Restart       // what happens when a replica exits
	Ready     Ready         // when a replica counts as ready
	Ports     []Port        `json:",omitzero"` // published through the proxy
	Routes    []Route       `json:",omitzero"` // HTTP routes by host and path
	TLS       TLS           `json:",omitzero"` // the certificates of the routes' hosts
	Drain     time.Duration `json:",omitzero"` // how long a draining replica may keep its connections; 0: none
	Hold      time.Duration `json:",omitzero"` // how long requests wait while no replica is ready; 0: not at all
	AccessLog bool          `json:",omitzero"` // the proxy writes a line for each HTTP request
	PreStart  []PreStart    `json:",omitzero"` // before each replica's start, in order; one that runs once is a job
	PostStart []Hook        `json:",omitzero"` // in each replica after its start, in order, before it counts as ready
	PreStop   []Hook        `json:",omitzero"` // in each replica before its stop signal, in order
	After     *Check        `json:",omitzero"` // nil: a deployment converges once all replicas are in place
	Metrics   *Scrape       `json:",omitzero"` // nil: its replicas have no metrics of their own
	// SendProxy has each connection to its ports of TCP begin with a header of the PROXY protocol; "": without one.
	SendProxy ProxyProtocol `json:",omitzero"`
	// AcceptProxy expects such a header at the beginning of trusted proxies' connections to its ports.
	AcceptProxy bool    `json:",omitzero"`
	Limits      []Limit `json:",omitzero"` // what clients may ask of it through the proxy
	Bans        Bans    `json:",omitzero"` // for what its clients are banned

	HTTP   *RouteOptions `json:",omitzero"` // of the ports of protocol HTTP; nil: requests are only forwarded
	Sticky bool          `json:",omitzero"` // clients stay with a slot: by a cookie over HTTP, by address over TCP
}

// Served reports whether the proxy serves the service.
func (s *Service) Served() bool { return len(s.Ports) > 0 || len(s.Routes) > 0 }

// UsualHold is the hold of a service for which the user sets none. Making a release replaces it by HoldOrUsual.
const UsualHold time.Duration = -1

const (
	holdTime  = 10 * time.Second // while a crashed replica is started again
	gapDrain  = 5 * time.Second  // in a gap: the last old replica drains
	gapStart  = 20 * time.Second // in a gap: the new replica starts
	stopGrace = 10 * time.Second // the engines' own default
)

// HoldOrUsual returns how long requests wait while no replica is ready. A planned gap of a stop-first service lasts
// until the old replica has drained and stopped and the new one has started; the usual hold covers all three.
func (s *Service) HoldOrUsual() time.Duration {
	switch {
	case s.Hold >= 0:
		return s.Hold
	case s.Order == StopFirst:
		return s.Gap()
	}
	return holdTime
}

// Gap returns how long a planned change may leave a stop-first service without a replica. It guesses how long the new
// replica takes to start.
func (s *Service) Gap() time.Duration { return s.GapDrain() + s.Container.Grace() + gapStart }

// GapDrain returns how long the last replica of a stop-first service may drain.
func (s *Service) GapDrain() time.Duration { return min(s.Drain, gapDrain) }

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
	Monitor         time.Duration `json:",omitzero"` // a replica that fails so soon after it was ready has failed
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
	Delay       time.Duration `json:",omitzero"` // before the first restart; 0: 1 s, doubled after each crash up to 1 min
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
	Restart   bool `json:",omitzero"` // replace this service's replicas when those of the other change
}

// Condition is what a dependency waits for.
type Condition string

const (
	DependsStarted   Condition = "service_started"
	DependsHealthy   Condition = "service_healthy"
	DependsCompleted Condition = "service_completed_successfully"
)

// Ready is when a replica counts as ready. With the kind "" the daemon chooses when it knows the image. It takes the
// first of these that the service has: the health check, an HTTP request to the first HTTP port or route, a connect
// to the first TCP port that the service publishes or exposes, a connect to the ports that its image names, "still
// running after the window".
type Ready struct {
	Kind    ReadyKind     `json:",omitzero"`
	Host    string        `json:",omitzero"` // for ReadyAnswer: the Host of the request; "": the replica's address
	Path    string        `json:",omitzero"` // for ReadyHTTP and ReadyAnswer: "/alive"
	Port    uint16        `json:",omitzero"` // for ReadyHTTP, ReadyAnswer and ReadyTCP
	Ports   []uint16      `json:",omitzero"` // for ReadyTCP and ReadyExposed: one of them must accept; Port is 0 then
	Window  time.Duration `json:",omitzero"` // how long the check must pass; 0: once
	Timeout time.Duration `json:",omitzero"` // a replica that isn't ready by then has failed; 0: ReadyTimeout
}

// ReadyKind is a way to find out whether a replica is ready.
type ReadyKind string

const (
	ReadyHTTP    ReadyKind = "http"        // a GET of Path answers with 200 to 399
	ReadyAnswer  ReadyKind = "answer"      // a GET of Path answers below 500, or like the replicas that serve
	ReadyTCP     ReadyKind = "tcp"         // Port accepts connections
	ReadyExposed ReadyKind = "exposed"     // like ReadyTCP, but a replica that listens nowhere is ready after a while
	ReadyHealth  ReadyKind = "healthcheck" // Container.Health passes
	ReadyRunning ReadyKind = "running"     // still running after Window; in old releases that have none, after Timeout
	ReadyExit    ReadyKind = "exit"        // a job: exited with 0
)

const (
	ReadyTimeout = time.Minute     // the default time for a replica to become ready
	ReadyWindow  = 5 * time.Second // the default time for which a weak check must pass: a connect, or running
)

// Runs returns how long a replica without a check (ReadyRunning) must run before it counts as ready.
func (r Ready) Runs() time.Duration {
	switch {
	case r.Window > 0:
		return r.Window
	case r.Timeout > 0:
		return r.Timeout
	}
	return ReadyWindow
}

// FileKind is where the content of a mounted file comes from.
type FileKind string

const (
	FileConfig  FileKind = "config"
	FileSecret  FileKind = "secret"
	FileProject FileKind = "project" // a file that the stack bind-mounts read-only from its folder
	// FileCertificate is a certificate chain and its key, both in PEM. It is for the proxy, not for replicas.
	FileCertificate FileKind = "certificate"
	// FileRoute is a page or the users of a route. It is for the proxy, not for replicas.
	FileRoute FileKind = "route"
)

// File is the content of a config, a secret or a snapshotted project file.
type File struct {
	Kind     FileKind
	Name     string // the config's or secret's key, or the project file's path in the project folder
	External string `json:",omitzero"` // the kept value whose content the daemon puts into Content
	Hash     string `json:",omitzero"` // a hash of the content, in hex; in a release it is keyed
	Content  []byte `json:",omitzero"`
}

// Build is how a service's image is built. The context is sent beside it.
type Build struct {
	Context    string            // the folder as written, or a URL that the engine fetches
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
	Ulimits    []Ulimit          `json:",omitzero"`
	CacheFrom  []string          `json:",omitzero"`
	Tags       []string          `json:",omitzero"` // further names for the image
	Secrets    []string          `json:",omitzero"` // keys of the stack's secrets
}

// Remote reports whether the engine fetches the context itself: a git repository, or an archive.
func (b Build) Remote() bool {
	for _, prefix := range []string{"https://", "http://", "git://", "git@", "github.com/"} {
		if strings.HasPrefix(b.Context, prefix) {
			return true
		}
	}
	return false
}
