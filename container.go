package rhumb

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Container is what a replica is made of. All of it but what Hash names is part of the spec hash, and two replicas with
// the same hash are interchangeable. What may change without a new replica (scale, policies, routes) is not in it.
// Zero fields don't enter the hash. A new field leaves existing hashes as they are.
type Container struct {
	Image       string            `json:",omitzero"` // as the user wrote it, or the name of the image that is built
	ImageID     string            `json:",omitzero"` // "sha256:…", what really runs; filled when a release is made
	Platform    string            `json:",omitzero"`
	Command     []string          `json:",omitzero"` // nil: the image's
	Entrypoint  []string          `json:",omitzero"` // nil: the image's; not nil and empty: none
	Env         map[string]string `json:",omitzero"`
	Labels      map[string]string `json:",omitzero"`
	Annotations map[string]string `json:",omitzero"`
	Hostname    string            `json:",omitzero"`
	Domainname  string            `json:",omitzero"`
	User        string            `json:",omitzero"`
	GroupAdd    []string          `json:",omitzero"`
	WorkingDir  string            `json:",omitzero"`
	TTY         bool              `json:",omitzero"`
	StdinOpen   bool              `json:",omitzero"`
	Init        *bool             `json:",omitzero"`
	ReadOnly    bool              `json:",omitzero"`
	Umask       *uint32           `json:",omitzero"` // nil: the engine's
	StopSignal  string            `json:",omitzero"`
	StopGrace   time.Duration     `json:",omitzero"` // between the stop signal and SIGKILL; 0: ten seconds; negative: none
	Health      *Healthcheck      `json:",omitzero"`

	Mounts       []Mount      `json:",omitzero"`
	VolumesFrom  []string     `json:",omitzero"` // "service:ro", "container:ID:ro"
	Networks     []Attachment `json:",omitzero"`
	NetworkMode  string       `json:",omitzero"` // "", "host", "none", "service:NAME", "container:ID"
	PID          string       `json:",omitzero"` // "", "host", "service:NAME", "container:ID"
	IPC          string       `json:",omitzero"`
	UTS          string       `json:",omitzero"`
	UsernsMode   string       `json:",omitzero"`
	Cgroup       string       `json:",omitzero"` // "", "host", "private"
	CgroupParent string       `json:",omitzero"`
	HostPorts    []Port       `json:",omitzero"` // mode: host; the engine publishes them, not the proxy
	Expose       []string     `json:",omitzero"` // "8000/tcp": exposed and published target ports
	MacAddress   string       `json:",omitzero"`

	ExtraHosts []string `json:",omitzero"` // "name:address"
	DNS        []string `json:",omitzero"`
	DNSSearch  []string `json:",omitzero"`
	DNSOpts    []string `json:",omitzero"`

	CapAdd            []string          `json:",omitzero"`
	CapDrop           []string          `json:",omitzero"`
	Privileged        bool              `json:",omitzero"`
	SecurityOpt       []string          `json:",omitzero"`
	Sysctls           map[string]string `json:",omitzero"`
	Ulimits           []Ulimit          `json:",omitzero"`
	Devices           []Device          `json:",omitzero"`
	DeviceCgroupRules []string          `json:",omitzero"`
	Runtime           string            `json:",omitzero"`
	Logging           Logging           `json:",omitzero"`
	Resources         Resources         `json:",omitzero"`
	StorageOpt        map[string]string `json:",omitzero"`

	// RestartOn holds the spec hashes of services whose change must replace this one's replicas: depends_on with
	// restart: true, and services whose namespaces or volumes it shares. Filled when a release is made.
	RestartOn map[string]string `json:",omitzero"`
	// RestartedAt is set by "rhumb restart": the same spec, deliberately new.
	RestartedAt time.Time `json:",omitzero"`
}

// Grace returns how long a replica has between its stop signal and SIGKILL.
func (c *Container) Grace() time.Duration {
	if c.StopGrace == 0 {
		return stopGrace
	}
	return max(0, c.StopGrace)
}

// Joins lists the services whose namespaces or volumes the container shares.
func (c *Container) Joins() []string {
	var names []string
	for _, mode := range []string{c.NetworkMode, c.PID, c.IPC} {
		if name, ok := strings.CutPrefix(mode, "service:"); ok {
			names = append(names, name)
		}
	}
	for _, from := range c.VolumesFrom {
		if name, _, _ := strings.Cut(from, ":"); !strings.HasPrefix(from, "container:") {
			names = append(names, name)
		}
	}
	return names
}

// NetworksByPriority returns a copy of Networks, the highest Priority first.
func (c *Container) NetworksByPriority() []Attachment {
	as := slices.Clone(c.Networks)
	slices.SortStableFunc(as, func(a, b Attachment) int { return b.Priority - a.Priority })
	return as
}

// Hash returns the spec hash: SHA-256 over the JSON of c, in hex. encoding/json sorts map keys. Once the image's ID is
// known, its name doesn't count: the same image under another tag is no change. A health check's StartInterval doesn't
// count either: engines use it only until a replica is ready, and running replicas were made without it.
func (c *Container) Hash() string {
	k := *c
	if k.ImageID != "" {
		k.Image = ""
	}
	if k.Health != nil && k.Health.StartInterval != 0 {
		h := *k.Health
		h.StartInterval = 0
		k.Health = &h
	}
	b, err := json.Marshal(&k)
	if err != nil {
		panic(err) // it has only plain values
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Healthcheck is a check that the engine runs inside the container.
type Healthcheck struct {
	Test          []string      `json:",omitzero"` // {"CMD", …}, {"CMD-SHELL", line} or {"NONE"}; empty: the image's
	Interval      time.Duration `json:",omitzero"` // 0: 30 s
	Timeout       time.Duration `json:",omitzero"` // 0: 30 s
	Retries       int           `json:",omitzero"` // 0: 3
	StartPeriod   time.Duration `json:",omitzero"`
	StartInterval time.Duration `json:",omitzero"`
}

// MountType is what is mounted.
type MountType string

const (
	MountVolume MountType = "volume"
	MountBind   MountType = "bind"
	MountTmpfs  MountType = "tmpfs"
	MountFile   MountType = "file"  // a File of the stack
	MountImage  MountType = "image" // what an image holds
)

// Mount is one mount of a container.
type Mount struct {
	Type MountType
	// Source is the name of a volume at the engine ("": anonymous), of a File or of an image, or a path on the server.
	Source      string   `json:",omitzero"`
	Target      string   // in the container, absolute
	ReadOnly    bool     `json:",omitzero"`
	Hash        string   `json:",omitzero"` // MountFile: the content's hash
	Kind        FileKind `json:",omitzero"` // MountFile
	UID, GID    string   `json:",omitzero"` // MountFile; "": 0
	Mode        uint32   `json:",omitzero"` // MountFile: permission bits; MountTmpfs: the folder's mode; 0: default
	Size        int64    `json:",omitzero"` // MountTmpfs: bytes; 0: no limit
	Options     []string `json:",omitzero"` // MountTmpfs: further options of mount(8): "exec", "uid=1000"
	NoCopy      bool     `json:",omitzero"` // MountVolume: don't fill it from the image
	Subpath     string   `json:",omitzero"` // MountVolume, MountImage: the folder in it; "": all of it
	ImageID     string   `json:",omitzero"` // MountImage: "sha256:…", what is mounted; filled when a release is made
	Create      bool     `json:",omitzero"` // MountBind: make a missing folder
	Propagation string   `json:",omitzero"` // MountBind
	SELinux     string   `json:",omitzero"` // MountBind: "z" or "Z"
	Recursive   string   `json:",omitzero"` // MountBind: "enabled", "disabled", "readonly", "writable"
}

// Attachment joins a container to a network of the stack.
type Attachment struct {
	Network    string            // the engine's name
	Aliases    []string          `json:",omitzero"` // the service's name is always among them
	IPv4, IPv6 string            `json:",omitzero"`
	LinkLocal  []string          `json:",omitzero"`
	MAC        string            `json:",omitzero"`
	Priority   int               `json:",omitzero"`
	DriverOpts map[string]string `json:",omitzero"`
	// GatewayPriority decides which network holds the container's default gateway: the one with the highest value.
	// Priority decides if no attachment has a GatewayPriority.
	GatewayPriority int    `json:",omitzero"`
	InterfaceName   string `json:",omitzero"` // in the container; "": the engine's choice
}

// Ulimit is one resource limit of the processes.
type Ulimit struct {
	Name       string
	Soft, Hard int64
}

// Device is a device of the server that the container sees. A Source that doesn't begin with a slash is the name of a
// CDI device.
type Device struct{ Source, Target, Permissions string }

// Logging is the engine's log driver for a container. The zero value is json-file, 10 MB x 3.
type Logging struct {
	Driver  string            `json:",omitzero"`
	Options map[string]string `json:",omitzero"`
}

// Resources limits what a container may use. Zero means no limit.
type Resources struct {
	NanoCPUs          int64  `json:",omitzero"`
	CPUShares         int64  `json:",omitzero"`
	CPUPeriod         int64  `json:",omitzero"` // microseconds
	CPUQuota          int64  `json:",omitzero"` // microseconds
	CPURTPeriod       int64  `json:",omitzero"` // microseconds
	CPURTRuntime      int64  `json:",omitzero"` // microseconds
	CPUSet            string `json:",omitzero"`
	CPUCount          int64  `json:",omitzero"`
	CPUPercent        int64  `json:",omitzero"`
	Memory            int64  `json:",omitzero"` // bytes
	MemoryReservation int64  `json:",omitzero"` // bytes
	MemorySwap        int64  `json:",omitzero"` // bytes; -1: no limit
	MemorySwappiness  *int64 `json:",omitzero"`
	OOMKillDisable    bool   `json:",omitzero"`
	OOMScoreAdj       int    `json:",omitzero"`
	PidsLimit         int64  `json:",omitzero"` // -1: no limit
	ShmSize           int64  `json:",omitzero"` // bytes
	Blkio             *Blkio `json:",omitzero"`
	GPUs              []GPU  `json:",omitzero"`
}

// Blkio is blkio_config.
type Blkio struct {
	Weight          uint16
	WeightDevice    []DeviceRate `json:",omitzero"`
	DeviceReadBps   []DeviceRate `json:",omitzero"`
	DeviceWriteBps  []DeviceRate `json:",omitzero"`
	DeviceReadIOps  []DeviceRate `json:",omitzero"`
	DeviceWriteIOps []DeviceRate `json:",omitzero"`
}

// DeviceRate is a limit or weight for one block device.
type DeviceRate struct {
	Path string
	Rate uint64
}

// GPU is a device request.
type GPU struct {
	Driver       string            `json:",omitzero"`
	Count        int               `json:",omitzero"` // -1: all
	IDs          []string          `json:",omitzero"`
	Capabilities []string          `json:",omitzero"`
	Options      map[string]string `json:",omitzero"`
}
