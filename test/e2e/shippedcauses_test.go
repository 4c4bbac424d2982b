package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"rhumb/internal/porttest"
)

// needing is a web whose replicas start only if a remote service answers.
func needing(replicas int) string {
	return stackOf(serviceOf("web", `environment: {RELEASE: "1", NEEDS: "${DB}"}`,
		`extra_hosts: ["payments.example.com:host-gateway"]`,
		`ports: [{target: 8000, published: "${PORT}", app_protocol: http}]`,
		`x-rhumb: {ready: {http: /health, port: 8000}, drain: 1s}`,
		fmt.Sprintf("deploy: {replicas: %d, update_config: {monitor: 5s}}", replicas)))
}

// lose takes the remote service away, and kills a replica that needs it.
func lose(k *trial) {
	_ = k.remote.Close()
	docker(k.t, "kill", k.replicas("web")[0])
}

// find brings the remote service back.
func find(k *trial) {
	l, err := net.Listen("tcp", fmt.Sprintf(":%d", k.remote.Addr().(*net.TCPAddr).Port))
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() { _ = l.Close() })
	k.remote = &remote{Listener: l}
	go k.remote.serve()
}

// The causes of alerts about stacks.
var stackAlerts = []alertCase{
	{rules: []string{"CrashLoop"}, ends: 8 * time.Minute, cure: func(*trial) {}, cause: func(k *trial) {
		for range 4 {
			k.ask("web", "/crash")
			pause(k.t, 15*time.Second)
		}
	}},
	{rules: []string{"Unhealthy"}, compose: stackOf(webOf("{replicas: 2}", checked)), server: alertingServer,
		cause: func(k *trial) {
			k.s.kill() // it would replace the replica
			sicken("web", 1)(k)
		},
		cure: func(k *trial) {
			k.s.start()
			k.s.await()
		}},
	{rules: []string{"ReplicasMissing"}, compose: needing(2), before: callsRemote, cause: lose, cure: find,
		ends: 10 * time.Minute}, // CrashLoop is in the same incident
	{rules: []string{"ServiceDown"}, compose: needing(1), before: callsRemote, cause: lose, cure: find,
		ends: 10 * time.Minute}, // CrashLoop is in the same incident
	{rules: []string{"MemoryNearLimit"}, compose: limited(1, "memory: 200M"), cause: set("web", "hold=180"),
		cure: func(k *trial) { k.change(0, "restart") }},
	{rules: []string{"OOMKill"}, compose: limited(1, "memory: 64M"), cause: set("web", "hold=100"),
		cure: func(*trial) {}, ends: 14 * time.Minute},
	{rules: []string{"FatalLines"}, ends: 8 * time.Minute, fires: 12 * time.Minute, cure: func(*trial) {},
		cause: func(k *trial) {
			pause(k.t, 8*time.Minute) // lines soon after a deployment don't count
			set("web", "err=FATAL:+the+queue+is+corrupt")(k)
		}},
	{rules: []string{"ScrapeFailed"}, compose: stackOf(serviceOf("web",
		`ports: [{target: 8000, published: "${PORT}", app_protocol: http}]`,
		`x-rhumb: {ready: {http: /health, port: 8000}, drain: 1s, metrics: {port: "${METRICS:-8001}"}}`)),
		cure: deploy(0, "METRICS=8000")},
	{rules: []string{"ErrorRatio"}, cause: set("web", "fail=0.5"), cure: set("web", "fail=0"), ends: 9 * time.Minute},
	{rules: []string{"HighLatency"}, cause: set("web", "delay=3s"), cure: set("web", "delay=1ms"),
		fires: 7 * time.Minute, ends: 9 * time.Minute},
	{rules: []string{"DeploymentFailed"}, cause: deploy(3, "V=2", "HEALTH=bad"), cure: deploy(0, "V=3")},
	{rules: []string{"RuleFailed"}, compose: webAlone + "x-rhumb: {alerts: {Broken: {expr: 'sum(1, 2)'}}}\n",
		cure: func(k *trial) {
			k.compose(webAlone)
			k.change(0, "deploy")
		}},
}

// aDisk returns a server whose state folder is a small disk with so many inodes.
func aDisk(size string, inodes int) func(t *testing.T, b *inbox) *server {
	return func(t *testing.T, b *inbox) *server {
		s := idleAlerting(t, b)
		smallDisk(t, s.data, fmt.Sprintf("%s,nr_inodes=%d", size, inodes))
		s.start()
		s.await()
		return s
	}
}

// empties is a cause that is taken away by what it returns.
type empties struct {
	sync.Mutex
	of map[*trial]func()
}

var ballast = empties{of: map[*trial]func(){}}

// leaves fills the server's disk until so many megabytes are left.
func leaves(megabytes int64) func(k *trial) {
	return func(k *trial) {
		ballast.Lock()
		defer ballast.Unlock()
		ballast.of[k] = k.s.leave(megabytes)
	}
}

func empty(k *trial) {
	ballast.Lock()
	defer ballast.Unlock()
	ballast.of[k]()
}

// The causes of alerts about the machine, each with a server of its own.
var machineAlerts = []alertCase{
	{rules: []string{"DiskFull", "DiskOutOfSpace"}, machine: true, server: aDisk("1600m", 100000),
		cause: leaves(60), cure: empty},
	{rules: []string{"MeasuringStopped"}, machine: true, server: aDisk("400m", 100000), cause: leaves(25), cure: empty,
		fires: 9 * time.Minute},
	{rules: []string{"InodesFull"}, machine: true, server: aDisk("600m", 4000),
		cause: func(k *trial) { k.s.fillInodes(400) },
		cure:  func(k *trial) { _ = os.RemoveAll(filepath.Join(k.s.data, "many")) }},
	{rules: []string{"CertificateExpires"}, machine: true, pending: true, compose: overTLS,
		server: func(t *testing.T, b *inbox) *server {
			s := idleAlerting(t, b)
			s.https = porttest.Free(t)
			s.flags = append(s.flags, "--acme-ca", "off")
			s.start()
			s.await()
			return s
		},
		before: withPair(10 * 24 * time.Hour), cure: both(withPair(30*24*time.Hour), deploy(0))},
	{rules: []string{"EngineDown"}, machine: true, server: behindGate,
		cause: func(k *trial) { gateOf(k).shut() }, cure: func(k *trial) { gateOf(k).open() }},
	{rules: []string{"ProcessDown"}, name: "ProcessDown of the server", machine: true, server: alertingServer,
		cause: func(k *trial) { k.s.kill() },
		cure: func(k *trial) {
			k.s.start()
			k.s.await()
		}},
	{rules: []string{"ProcessDown"}, name: "ProcessDown of the proxy", machine: true, server: alertingServer,
		cause: func(k *trial) { stopFor(k, syscall.SIGSTOP) }, cure: func(k *trial) { stopFor(k, syscall.SIGCONT) }},
}

// stopFor sends the proxy a signal.
func stopFor(k *trial, s syscall.Signal) {
	if err := syscall.Kill(k.s.process("proxy"), s); err != nil {
		k.t.Error(err)
	}
}

// fillInodes adds empty files to the state folder until so many more can be added.
func (s *server) fillInodes(left uint64) {
	s.t.Helper()
	folder := filepath.Join(s.data, "many")
	if err := os.Mkdir(folder, 0o700); err != nil {
		s.t.Fatal(err)
	}
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.data, &st); err != nil {
		s.t.Fatal(err)
	}
	for n := left; n < st.Ffree; n++ {
		if err := os.WriteFile(filepath.Join(folder, fmt.Sprint(n)), nil, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// gate is a socket that leads to the engine's while it is open.
type gate struct {
	path string
	mu   sync.Mutex
	l    net.Listener
	all  []net.Conn
}

var gates sync.Map // by the server's socket

func gateOf(k *trial) *gate {
	g, _ := gates.Load(k.s.socket)
	return g.(*gate)
}

// behindGate is a server that reaches the engine through a gate.
func behindGate(t *testing.T, b *inbox) *server {
	s := idleAlerting(t, b)
	g := &gate{path: filepath.Join(filepath.Dir(s.socket), "engine.sock")}
	gates.Store(s.socket, g)
	g.open()
	t.Cleanup(g.shut)
	s.flags = append(s.flags, "--docker-host", "unix://"+g.path)
	s.start()
	s.await()
	return s
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	l, err := net.Listen("unix", g.path)
	if err != nil {
		return // the server doesn't answer then
	}
	g.l = l
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			engine, err := net.Dial("unix", "/var/run/docker.sock")
			if err != nil {
				_ = c.Close()
				continue
			}
			g.mu.Lock()
			g.all = append(g.all, c, engine)
			g.mu.Unlock()
			go pipe(c, engine)
			go pipe(engine, c)
		}
	}()
}

// pipe copies what comes from one connection to the other, and then closes its half.
func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if c, ok := to.(*net.UnixConn); ok {
		_ = c.CloseWrite()
	}
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	_ = g.l.Close()
	for _, c := range g.all {
		_ = c.Close()
	}
	g.all = nil
}
