package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/porttest"
)

// trial is the stack of a case, with its visitors.
type trial struct {
	*stack
	visitors  *visitors
	deploying chan struct{} // taken by whoever deploys
	target    string        // what visitors ask; "": the published port
	client    *http.Client  // nil: a usual one
	remote    *remote
	subnet    string
}

var subnets atomic.Int64

// newTrial makes a stack with a subnet of its own: the engine has only some thirty to give.
func newTrial(t *testing.T, s *server, compose string, deploying chan struct{}) *trial {
	t.Helper()
	k := &trial{deploying: deploying, subnet: fmt.Sprintf("10.%d.%d.0/24", 200+os.Getpid()%50, subnets.Add(1))}
	k.stack = newStack(t, s, compose)
	k.compose(compose)
	return k
}

// compose writes another Compose file.
func (k *trial) compose(text string) {
	k.t.Helper()
	k.write("compose.yaml", fmt.Sprintf("%s\nnetworks: {default: {ipam: {config: [{subnet: %s}]}}}\n", text, k.subnet))
}

func kinds(k ...rhumb.HappeningKind) []rhumb.HappeningKind { return k }

// stackOf returns a Compose file with services.
func stackOf(services ...string) string { return "services:\n" + strings.Join(services, "") }

// serviceOf returns a service of the test's application.
func serviceOf(name string, lines ...string) string {
	return fmt.Sprintf("  %s:\n    image: rhumb-test/app:1\n    %s\n", name, strings.Join(lines, "\n    "))
}

// webOf returns a service "web" that has all faults by variables, with what "deploy" has beside the usual.
func webOf(deploy string, lines ...string) string {
	deploy = strings.TrimSuffix(deploy, "}") + ", update_config: {monitor: 5s}}"
	return serviceOf("web", append(lines,
		`environment: {RELEASE: "${V:-1}", FAIL: "${FAIL:-}", DELAY: "${DELAY:-}", BURN: "${BURN:-}", `+
			`LEAK: "${LEAK:-}", WORK: "${WORK:-1ms}", EXIT_AFTER: "${EXIT:-}", HEALTH: "${HEALTH:-/sick}", `+
			`DB: "${DB:-db:9000}", DB_TIMEOUT: 2s}`,
		`ports: [{target: 8000, published: "${PORT}", app_protocol: http}]`,
		`x-rhumb: {ready: {http: /health, port: 8000}, drain: 1s}`,
		`deploy: `+deploy)...)
}

// checked has the engine check a service's health.
const checked = `healthcheck: {test: [CMD, /app, check, "http://127.0.0.1:8000/health"], interval: 5s, timeout: 3s, ` +
	`retries: 2, start_period: 10s}`

var (
	webAlone = stackOf(webOf("{replicas: 1}"))
	webTwice = stackOf(webOf("{replicas: 2}"))
	echoing  = `environment: {TCP: ":9000"}`
	webAndDB = stackOf(webOf("{replicas: 1}"), serviceOf("db", echoing))
)

// limited returns a web of which each replica has a limit.
func limited(replicas int, limit string) string {
	return stackOf(webOf(fmt.Sprintf("{replicas: %d, resources: {limits: {%s}}}", replicas, limit)))
}

// deploy returns a fault: a deployment with other variables that ends with the exit code.
func deploy(code int, env ...string) func(k *trial) {
	return func(k *trial) {
		k.env = env
		k.change(code, "deploy")
	}
}

// change runs a command that deploys. Others wait for it.
func (k *trial) change(code int, verb string, args ...string) {
	k.t.Helper()
	k.deploying <- struct{}{}
	defer func() { <-k.deploying }()
	k.must(code, verb, args...)
}

// running returns the containers of a service that run.
func (k *trial) replicas(service string) []string {
	out, err := dockerOutput("ps", "--format", "{{.Names}}", "--filter", "name=^"+k.name+"-"+service+"\\.")
	if err != nil {
		k.t.Error(err)
	}
	return strings.Fields(string(out))
}

// ask sends a request to each replica of a service, past the proxy. It reports how many there were.
func (k *trial) ask(service, path string) int {
	names := k.replicas(service)
	for _, name := range names {
		out, err := dockerOutput("inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}", name)
		if addrs := strings.Fields(string(out)); err == nil && len(addrs) > 0 {
			c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
			if resp, err := c.Get("http://" + net.JoinHostPort(addrs[0], "8000") + path); err == nil {
				resp.Body.Close()
			}
		}
	}
	return len(names)
}

// set returns a fault that begins in running replicas.
func set(service, faults string) func(k *trial) {
	return func(k *trial) {
		if k.ask(service, "/set?"+faults) == 0 {
			k.t.Errorf("%s has no replica", service)
		}
	}
}

// says has a service write a line to its standard error now and again, until the test ends.
func writes(service, line string, every time.Duration) func(k *trial) {
	return again(every, set(service, "err="+url.QueryEscape(line)))
}

// crashes has a service crash again and again, until the test ends.
func crashes(service string) func(k *trial) {
	return again(5*time.Second, func(k *trial) { k.ask(service, "/crash") })
}

// again has a fault begin again and again, until the test ends.
func again(every time.Duration, fault func(k *trial)) func(k *trial) {
	return func(k *trial) {
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				fault(k)
				select {
				case <-stop:
					return
				case <-time.After(every):
				}
			}
		}()
		k.t.Cleanup(func() {
			close(stop)
			<-done
		})
	}
}

// both returns one fault of several.
func both(faults ...func(k *trial)) func(k *trial) {
	return func(k *trial) {
		for _, f := range faults {
			f(k)
		}
	}
}

// sicken has the checks of so many replicas of a service fail.
func sicken(service string, count int) func(k *trial) {
	return func(k *trial) {
		k.write("sick", "")
		for i, name := range k.replicas(service) {
			if i < count {
				docker(k.t, "cp", filepath.Join(k.dir, "sick"), name+":/sick")
			}
		}
	}
}

// remote is a service outside all stacks.
type remote struct {
	net.Listener
	delay atomic.Int64
}

// callsRemote has the database of a stack be a remote service.
func callsRemote(k *trial) {
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		k.t.Fatal(err)
	}
	k.remote = &remote{Listener: l}
	k.t.Cleanup(func() { _ = l.Close() })
	go k.remote.serve()
	k.env = append(k.env, fmt.Sprintf("DB=payments.example.com:%d", l.Addr().(*net.TCPAddr).Port))
}

func (r *remote) serve() {
	for {
		c, err := r.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			b := make([]byte, 100)
			n, err := c.Read(b)
			time.Sleep(time.Duration(r.delay.Load()))
			if err == nil {
				_, _ = c.Write(b[:n])
			}
		}()
	}
}

// tlsServer is a measured server with an entry over TLS.
func tlsServer(t *testing.T) *server {
	s := idleServer(t, binary)
	s.metrics, s.dashboard, s.https = porttest.Free(t), porttest.Free(t), porttest.Free(t)
	s.flags = []string{"--acme-ca", "off"}
	s.start()
	s.await()
	return s
}

// smallServer is a measured server whose state folder is a small disk.
func smallServer(t *testing.T) *server {
	s := idleServer(t, binary)
	s.metrics, s.dashboard = porttest.Free(t), porttest.Free(t)
	smallDisk(t, s.data, "1600m")
	s.start()
	s.await()
	return s
}

// leave fills the disk of a state folder until so many megabytes are left. It returns what empties it.
func (s *server) leave(megabytes int64) (empty func()) {
	s.t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(s.data, &st); err != nil {
		s.t.Fatal(err)
	}
	name := filepath.Join(s.data, "ballast")
	f, err := os.Create(name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, int64(st.Bavail)*st.Bsize-megabytes<<20); err != nil {
		s.t.Fatal(err)
	}
	return func() { _ = os.Remove(name) }
}

// withPair has a stack's host be served with a certificate that expires after a time.
func withPair(valid time.Duration) func(k *trial) {
	return func(k *trial) {
		cert, key := pairUntil(k.t, "shop.example.com", time.Now().Add(valid))
		k.write("shop.crt", string(cert))
		k.write("shop.key", string(key))
		if k.client == nil {
			k.client = k.s.clientOf(false, cert)
			k.client.Transport.(*http.Transport).DisableKeepAlives = true
			k.target = fmt.Sprintf("https://shop.example.com:%d/", k.s.https)
		}
	}
}

// hog keeps the machine's CPUs busy for a time.
func hog(d time.Duration) func(k *trial) {
	return func(k *trial) {
		for range 12 {
			cmd := exec.Command("timeout", fmt.Sprint(int(d.Seconds())), "sh", "-c", "while :; do :; done")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // the kernel may share CPUs out by session
			if err := cmd.Start(); err != nil {
				k.t.Fatal(err)
			}
			k.t.Cleanup(func() {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
			})
		}
	}
}
