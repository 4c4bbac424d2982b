package drawing

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rhumb"
	"rhumb/engine/docker/internal/label"
)

// full returns a spec in which every field has a value. A change of any field must change the plan.
func full() *rhumb.ReplicaSpec {
	yes, swappiness, mask := true, int64(10), uint32(0o22)
	c := rhumb.Container{
		Image: "web:1", Platform: "linux/amd64", Command: []string{"a"}, Entrypoint: []string{"b"},
		Env:    map[string]string{"K": "v"},
		Labels: map[string]string{"l": "v"}, Annotations: map[string]string{"a": "v"},
		Hostname: "h", Domainname: "d", User: "u",
		GroupAdd: []string{"g"}, WorkingDir: "/w", Init: &yes, Umask: &mask, StopSignal: "SIGINT", StopGrace: 3 * time.Second,
		Health: &rhumb.Healthcheck{Test: []string{"CMD", "x"}, Interval: 1e9, Timeout: 1e9, Retries: 1, StartPeriod: 1e9,
			StartInterval: 1e9},
		Mounts: []rhumb.Mount{
			{Type: rhumb.MountVolume, Source: "v", Target: "/v", Subpath: "s"},
			{Type: rhumb.MountBind, Source: "/b", Target: "/b", Propagation: "rprivate", Recursive: "disabled"},
			{Type: rhumb.MountTmpfs, Target: "/t", Mode: 0o1777, Size: 1 << 20},
			{Type: rhumb.MountFile, Kind: rhumb.FileConfig, Source: "f", Target: "/f"},
			{Type: rhumb.MountBind, Source: "/s", Target: "/s", SELinux: "z", Propagation: "rslave"},
		},
		VolumesFrom: []string{"db:ro"},
		Networks: []rhumb.Attachment{{Network: "n", Aliases: []string{"web"}, IPv4: "10.0.0.2", IPv6: "fd00::2",
			LinkLocal: []string{"169.254.0.2"},
			MAC:       "02:00:00:00:00:01", Priority: 1, DriverOpts: map[string]string{"o": "v"}}, {Network: "m", Priority: 1}},
		PID: "host", IPC: "host", UTS: "host", UsernsMode: "host", Cgroup: "host", CgroupParent: "p",
		HostPorts: []rhumb.Port{{HostIP: "127.0.0.1", Published: 80, PublishedEnd: 90, Target: 80,
			Protocol: rhumb.TCP}}, Expose: []string{"8000/tcp"},
		ExtraHosts: []string{"a:10.0.0.1"}, DNS: []string{"10.0.0.53"}, DNSSearch: []string{"s"}, DNSOpts: []string{"o"},
		CapAdd: []string{"NET_ADMIN"}, CapDrop: []string{"MKNOD"}, SecurityOpt: []string{"s"},
		Sysctls: map[string]string{"s": "1"},
		Ulimits: []rhumb.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}}, Devices: []rhumb.Device{{Source: "/dev/a",
			Target: "/dev/b", Permissions: "r"}},
		DeviceCgroupRules: []string{"c 1:3 mr"}, Runtime: "runc", Logging: rhumb.Logging{Driver: "local",
			Options: map[string]string{"o": "v"}},
		Resources: rhumb.Resources{
			MemorySwappiness: &swappiness, GPUs: []rhumb.GPU{{Driver: "d", Count: 1, IDs: []string{"1"},
				Capabilities: []string{"gpu"}, Options: map[string]string{"o": "v"}}},
			Blkio: &rhumb.Blkio{
				Weight: 1, WeightDevice: []rhumb.DeviceRate{{Path: "a", Rate: 1}}, DeviceReadBps: []rhumb.DeviceRate{{Path: "a",
					Rate: 1}},
				DeviceWriteBps: []rhumb.DeviceRate{{Path: "a", Rate: 1}}, DeviceReadIOps: []rhumb.DeviceRate{{Path: "a",
					Rate: 1}}, DeviceWriteIOps: []rhumb.DeviceRate{{Path: "a", Rate: 1}},
			},
		},
		StorageOpt: map[string]string{"size": "1G"},
	}
	return &rhumb.ReplicaSpec{
		Stack: "shop", Service: "web", Release: 42, Slot: 1, Container: c, Spec: "hash", Restarts: 1,
		Joined: map[string]string{"db": "id-of-db", "cache": "id-of-cache"}, Hosts: map[string]string{"api": "10.0.0.9"},
		Files: []rhumb.File{{Kind: rhumb.FileConfig, Name: "f", Content: []byte("x")}},
	}
}

// newest is an API version that carries everything.
const newest = "1.56"

func factsFor(s *rhumb.ReplicaSpec, api string) Facts {
	f := Facts{API: api, Files: map[string]string{}}
	for _, m := range s.Container.Mounts {
		if m.Type == rhumb.MountFile {
			// as their hash would
			f.Files[m.Target] = fmt.Sprintf("/files/%s-%s-%s-%s-%o", m.Kind, m.Source, m.UID, m.GID, m.Mode)
		}
	}
	return f
}

// drawn returns the plan as text.
func drawn(t *testing.T, s *rhumb.ReplicaSpec) string {
	t.Helper()
	p, err := Draw(s, factsFor(s, newest))
	if err != nil {
		t.Fatalf("draw: %v", err)
	}
	further := ""
	for _, n := range p.Further {
		b, _ := json.Marshal(n.Endpoint)
		further += n.Network + string(b)
	}
	b, err := json.Marshal(p.Create)
	if err != nil {
		t.Fatal(err)
	}
	return string(b) + further
}

// elsewhere says why a field doesn't show in the plan of the full spec.
var elsewhere = map[string]string{
	"ImageID":     "takes Image's place: see the test below",
	"RestartOn":   "is only there for the spec hash",
	"RestartedAt": "is only there for the spec hash",
	"NetworkMode": "excludes networks: see the test below",
	"MacAddress":  "is the first network's unless that has its own: see the test below",

	"Mounts[].Hash":    "names the content, whose own hash is in its path",
	"Mounts[].ImageID": "is an image mount's: see the test below",
	"Mounts[].Create":  "is done before the engine is asked",

	// Fields that mean something only for another type of mount.
	"Mounts[0].Options": "", "Mounts[1].Options": "", "Mounts[3].Options": "", "Mounts[4].Options": "",
	"Mounts[0].Mode": "", "Mounts[0].Size": "", "Mounts[0].Kind": "", "Mounts[0].UID": "", "Mounts[0].GID": "",
	"Mounts[0].Propagation": "", "Mounts[0].SELinux": "", "Mounts[0].Recursive": "",
	"Mounts[1].Mode": "", "Mounts[1].Size": "", "Mounts[1].Kind": "", "Mounts[1].UID": "", "Mounts[1].GID": "",
	"Mounts[1].NoCopy": "", "Mounts[1].Subpath": "", "Mounts[1].SELinux": "excludes recursive: it is in the last one",
	"Mounts[2].Source": "", "Mounts[2].Kind": "", "Mounts[2].UID": "", "Mounts[2].GID": "", "Mounts[2].NoCopy": "",
	"Mounts[2].Subpath": "", "Mounts[2].Propagation": "", "Mounts[2].SELinux": "", "Mounts[2].Recursive": "",
	"Mounts[3].ReadOnly": "is always so", "Mounts[3].Size": "", "Mounts[3].NoCopy": "", "Mounts[3].Subpath": "",
	"Mounts[3].Propagation": "", "Mounts[3].SELinux": "", "Mounts[3].Recursive": "",
	"Mounts[4].Mode": "", "Mounts[4].Size": "", "Mounts[4].Kind": "", "Mounts[4].UID": "", "Mounts[4].GID": "",
	"Mounts[4].NoCopy": "", "Mounts[4].Subpath": "", "Mounts[4].Recursive": "excludes SELinux: it is in the second one",
}

// valid has the other values of fields that don't accept every value.
var valid = map[string]any{
	"Platform": "linux/arm64", "Mounts[].Type": rhumb.MountTmpfs, "Mounts[2].Type": rhumb.MountVolume,
	"Mounts[].Recursive": "readonly",
	"Mounts[3].Type":     rhumb.MountVolume, "Networks[].IPv4": "10.0.0.7", "Networks[].IPv6": "fd00::7",
	"Networks[].MAC":       "02:00:00:00:00:07",
	"Networks[].LinkLocal": []string{"169.254.0.7"}, "DNS": []string{"10.0.0.7"}, "Expose": []string{"9000/udp"},
	"HostPorts[].HostIP": "127.0.0.7", "HostPorts[].Protocol": rhumb.UDP, "VolumesFrom": []string{"cache"},
}

// anyIndex replaces "[3]" by "[]".
func anyIndex(path string) string {
	for i := range 10 {
		path = strings.ReplaceAll(path, fmt.Sprintf("[%d]", i), "[]")
	}
	return path
}

func TestEveryFieldOfAContainerReachesTheEngine(t *testing.T) {
	s := full()
	before := drawn(t, s)
	fields := 0
	leaves(reflect.ValueOf(&s.Container).Elem(), "", func(path string, v reflect.Value) {
		_, exact := elsewhere[path]
		if _, any := elsewhere[anyIndex(path)]; exact || any {
			return
		}
		fields++
		old := reflect.New(v.Type()).Elem()
		old.Set(v)
		change(v, path)
		if drawn(t, s) == before {
			t.Errorf("%s: changing it to %v changes nothing in the request to the engine", path, v)
		}
		v.Set(old)
		if after := drawn(t, s); after != before {
			t.Fatalf("%s: changing it back: %s", path, cmp.Diff(before, after))
		}
	})
	if fields < 120 {
		t.Errorf("only %d fields were looked at", fields)
	}
}

// leaves visits the fields of a struct that have no fields themselves.
func leaves(v reflect.Value, path string, visit func(string, reflect.Value)) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		visit(path, v)
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			leaves(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), visit)
		}
	case v.Kind() == reflect.Pointer && v.Type().Elem().Kind() == reflect.Struct:
		leaves(v.Elem(), path, visit)
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct:
		for i := range v.Len() {
			leaves(v.Index(i), fmt.Sprintf("%s[%d]", path, i), visit)
		}
	default:
		visit(path, v)
	}
}

// change sets a field to another value.
func change(v reflect.Value, path string) {
	for _, p := range []string{path, anyIndex(path)} {
		if other, ok := valid[p]; ok {
			v.Set(reflect.ValueOf(other).Convert(v.Type()))
			return
		}
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		if v.Type() == reflect.TypeFor[time.Duration]() {
			v.SetInt(v.Int() + int64(time.Second))
			return
		}
		v.SetInt(v.Int() + 1)
	case reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.Pointer:
		v.Set(reflect.Zero(v.Type()))
	case reflect.Slice:
		v.Set(reflect.ValueOf([]string{"other"}))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"other": "value"}))
	default:
		panic("no other value for " + path)
	}
}

func TestTheImageThatWasResolvedIsTheOneThatRuns(t *testing.T) {
	s := full()
	s.Container.ImageID = "sha256:1"
	p, err := Draw(s, factsFor(s, newest))
	if err != nil || p.Create.Config.Image != "sha256:1" {
		t.Errorf("image %q, %v", p.Create.Config.Image, err)
	}
}

func TestNamespacesOfOtherServicesAreThoseOfTheirReplicas(t *testing.T) {
	s := full()
	s.Container.Networks, s.Container.NetworkMode = nil, "service:db"
	s.Container.PID, s.Container.IPC = "service:db", "service:cache"
	p, err := Draw(s, factsFor(s, newest))
	if err != nil {
		t.Fatal(err)
	}
	h := p.Create.HostConfig
	if h.NetworkMode != "container:id-of-db" || h.PidMode != "container:id-of-db" ||
		h.IpcMode != "container:id-of-cache" ||
		!slices.Equal(h.VolumesFrom, []string{"id-of-db:ro"}) || p.Create.Config.Labels[label.Joined] != "id-of-db" {
		t.Errorf("network %s, pid %s, ipc %s, volumes %v, labels %v", h.NetworkMode, h.PidMode, h.IpcMode, h.VolumesFrom,
			p.Create.Config.Labels)
	}
	if len(p.Create.Config.ExposedPorts) != 0 || slices.Contains(h.ExtraHosts, "api:10.0.0.9") {
		t.Error("a joined network namespace has ports and hosts of its own")
	}
	delete(s.Joined, "db")
	if _, err := Draw(s, factsFor(s, newest)); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("a service without a replica: %v", err)
	}
}

func TestWhatAnOldEngineCanNotCarryIsRefusedByName(t *testing.T) {
	s := full()
	s.Container.Networks[1].MAC = "02:00:00:00:00:02"
	_, err := Draw(s, factsFor(s, "1.41"))
	var all rhumb.Errors
	if !errors.As(err, &all) || rhumb.ErrorCode(err) != rhumb.Unsupported {
		t.Fatalf("error: %v", err)
	}
	for _, want := range []string{"annotations needs Docker Engine 24 or newer",
		"a volume's subpath needs Docker Engine 26", "mac_address of a further network needs Docker Engine 25"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
	for _, e := range all {
		if !strings.HasPrefix(e.Msg, "service web: ") || e.Hint == "" {
			t.Errorf("not explained: %+v", e)
		}
	}
	c := &s.Container
	c.Annotations, c.Umask, c.Mounts[0].Subpath, c.Networks[1].MAC = nil, nil, "", ""
	if _, err := Draw(s, factsFor(s, "1.41")); err != nil {
		t.Errorf("everything else: %v", err)
	}
}

func TestRhumbsOwnLabelsWin(t *testing.T) {
	s := full()
	s.Container.Labels = map[string]string{label.Stack: "other", "dev.rhumb.oneoff": "yes", "mine": "too"}
	p, err := Draw(s, factsFor(s, newest))
	want := map[string]string{label.Stack: "shop", label.Service: "web", label.Release: "42", label.Slot: "1",
		label.Spec: "hash", label.Restarts: "1", label.Hosts: "api=10.0.0.9", "mine": "too"}
	if err != nil || !reflect.DeepEqual(p.Create.Config.Labels, want) {
		t.Errorf("%v: %v", err, cmp.Diff(want, p.Create.Config.Labels))
	}
}

func TestTheFirstNetworkIsTheOneWithTheHighestPriority(t *testing.T) {
	s := full()
	s.Container.MacAddress = ""
	s.Container.Networks = []rhumb.Attachment{{Network: "low"}, {Network: "high", Priority: 9}, {Network: "also"}}
	s.Container.Annotations, s.Container.Umask, s.Container.Mounts = nil, nil, nil
	for api, further := range map[string]int{"1.41": 2, "1.44": 0} {
		p, err := Draw(s, factsFor(s, api))
		if err != nil {
			t.Fatal(err)
		}
		if p.Create.HostConfig.NetworkMode != "high" || len(p.Further) != further ||
			len(p.Create.NetworkingConfig.EndpointsConfig) != 3-further {
			t.Errorf("API %s: mode %s, at making %v, then %v", api, p.Create.HostConfig.NetworkMode,
				p.Create.NetworkingConfig.EndpointsConfig, p.Further)
		}
	}
}

func TestDefaultsAreTheOnesThatWereWritten(t *testing.T) {
	s := &rhumb.ReplicaSpec{Stack: "shop", Service: "web", Release: 1, Slot: 2, Container: rhumb.Container{Image: "web"}}
	p, err := Draw(s, Facts{API: "1.41", Volumes: []string{"/data", "/other/"}, Covered: []string{"/other"}})
	if err != nil {
		t.Fatal(err)
	}
	c, h := p.Create.Config, p.Create.HostConfig
	if h.RestartPolicy.Name != "no" || h.LogConfig.Type != "json-file" || h.LogConfig.Config["max-size"] != "10m" ||
		h.LogConfig.Config["max-file"] != "3" {
		t.Errorf("restart %+v, log %+v", h.RestartPolicy, h.LogConfig)
	}
	if c.Entrypoint != nil || c.Cmd != nil || c.StopTimeout != nil || c.Healthcheck != nil || c.Hostname != "" ||
		p.Create.Platform != nil {
		t.Errorf("something is set that was not: %+v", c)
	}
	if len(h.Mounts) != 1 || h.Mounts[0].Source != rhumb.AnonymousVolumeName("shop", "web", 2, "/data") ||
		h.Mounts[0].VolumeOptions.Labels[label.Stack] != "shop" {
		t.Errorf("mounts: %+v", h.Mounts)
	}
	s.Container.Entrypoint, s.Container.StopGrace = []string{}, -1
	p, err = Draw(s, Facts{API: "1.41"})
	if err != nil || !slices.Equal(p.Create.Config.Entrypoint, []string{""}) || *p.Create.Config.StopTimeout != 0 {
		t.Errorf("no entrypoint and no grace: %+v, %v", p.Create.Config, err)
	}
}

func TestAGraceIsRoundedUpToSeconds(t *testing.T) {
	for grace, want := range map[time.Duration]int{time.Millisecond: 1, time.Second: 1, 1500 * time.Millisecond: 2,
		-time.Second: 0} {
		if got := stopTimeout(grace); got == nil || *got != want {
			t.Errorf("%v: %v, want %d", grace, got, want)
		}
	}
}

func TestAMacAddressIsTheFirstNetworks(t *testing.T) {
	s := &rhumb.ReplicaSpec{Service: "web", Container: rhumb.Container{MacAddress: "02:00:00:00:00:09"}}
	for name, networks := range map[string][]rhumb.Attachment{"bridge": nil, "n": {{Network: "n"}, {Network: "m"}}} {
		s.Container.Networks = networks
		p, err := Draw(s, Facts{API: newest})
		if err != nil || p.Create.NetworkingConfig.EndpointsConfig[name].MacAddress.String() != "02:00:00:00:00:09" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	s.Container.Networks, s.Container.NetworkMode = []rhumb.Attachment{{Network: "n"}}, "host"
	if _, err := Draw(s, Facts{API: newest}); rhumb.ErrorCode(err) != rhumb.Invalid {
		t.Errorf("network_mode and networks: %v", err)
	}
}

func TestANetworkBesideIsNeverTheWayOut(t *testing.T) {
	for _, c := range []struct {
		api, own, beside string
		joins            bool
	}{
		{"1.41", "shop-12345678_n", "shop_n", true},
		{"1.41", "shop_n", "shop-12345678_n", false}, // the engine would lead out through the first
		{"1.48", "shop_n", "shop-12345678_n", true},
		{"1.41", "", "shop_n", false},
	} {
		s := rhumb.ReplicaSpec{Stack: "shop", Service: "web", Beside: []rhumb.Attachment{{Network: c.beside, Priority: -1}}}
		if c.own != "" {
			s.Container.Networks = []rhumb.Attachment{{Network: c.own}}
		}
		p, err := Draw(&s, Facts{API: c.api})
		if err != nil {
			t.Fatal(err)
		}
		joins := len(p.Further) == 1 && p.Further[0].Network == c.beside && p.Further[0].Beside
		if joins != c.joins || (p.Create.Config.Labels[label.Beside] == c.beside) != c.joins {
			t.Errorf("API %s, %s beside %q: %+v, labels %v", c.api, c.beside, c.own, p.Further, p.Create.Config.Labels)
		}
		if joins && c.api == "1.48" && p.Further[0].Endpoint.GwPriority != -1 {
			t.Errorf("gateway priority %d", p.Further[0].Endpoint.GwPriority)
		}
	}
}
