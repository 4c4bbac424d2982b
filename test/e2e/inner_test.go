package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb/internal/porttest"
	"rhumb/vip"
)

// hops has what real stacks have inside: nginx, which looks a name up once and keeps the address; HAProxy; and
// PgBouncer in front of PostgreSQL. Each calls the next by its name. The caller queries the database as connection
// pools do.
var hops = `
x-hops: &hops {image: "rhumb-test/hops:1", init: true}
services:
  api:
    image: rhumb-test/app:1
    environment: {RELEASE: "${N:-0}"}
    x-rhumb: {ready: {http: /health, port: 8000}}
  nginx:
    <<: *hops
    ports: ["${PORT}:80"]
    depends_on: [api]
` + nginx(beforeAPI) + `  haproxy:
    <<: *hops
    ports: ["${PORT2}:80"]
    depends_on: [api]
    command:
      - bash
      - -ec
      - |
        cat >/tmp/haproxy.cfg <<'END'
        defaults
          mode http
          timeout connect 10s
          timeout client 1h # a kept connection that is closed for its age would count as failed
          timeout server 30s
          # Servers close kept connections when they stop. A request that crosses that is repeated: nginx does so anyway.
          retries 3
          retry-on conn-failure empty-response
        frontend front
          bind :80
          default_backend api
        backend api
          server api api:8000
        END
        exec haproxy -db -f /tmp/haproxy.cfg
  db:
    <<: *hops
    user: postgres
    environment: {PGDATA: /var/lib/postgresql/data, N: "${DB:-0}"}
    volumes: [data:/var/lib/postgresql]
    stop_signal: SIGINT
    # While it starts, PostgreSQL takes connections and refuses what is asked on them.
    healthcheck: {test: [CMD, /usr/lib/postgresql/15/bin/pg_isready, --quiet, --host, 127.0.0.1], interval: 1s, start_period: 20s}
    command:
      - bash
      - -ec
      - |
        cd /usr/lib/postgresql/15/bin
        [ -e $$PGDATA/PG_VERSION ] || { ./initdb -A trust >/dev/null; echo host all all all trust >>$$PGDATA/pg_hba.conf; }
        exec ./postgres -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off
  pool:
    <<: *hops
    user: postgres
    environment: {RELEASE: "${N:-0}"}
    stop_signal: SIGINT
    depends_on: [db]
    x-rhumb: {ready: {tcp: 6432}}
    command:
      - bash
      - -ec
      - |
        cat >/tmp/pgbouncer.ini <<'END'
        [databases]
        postgres = host=db user=postgres
        [pgbouncer]
        listen_addr = *
        auth_type = any
        pool_mode = transaction
        unix_socket_dir =
        END
        exec pgbouncer /tmp/pgbouncer.ini
  caller:
    <<: *hops
    user: postgres
    command: [sleep, infinity]
volumes: {data: }
`

func newHops(t *testing.T) (k *stack, port2 int) {
	t.Helper()
	k, port2 = newStack(t, newServer(t), hops), porttest.Free(t)
	k.env = []string{fmt.Sprintf("PORT2=%d", port2)}
	return k, port2
}

// calls runs a command again and again in a container of the stack, until it is stopped, and notes what fails.
type calls struct {
	t    *testing.T
	what string
	quit chan struct{}
	done sync.WaitGroup

	mu     sync.Mutex
	made   int
	failed []string
}

func (k *stack) calls(what, container string, command ...string) *calls {
	c := &calls{t: k.t, what: what, quit: make(chan struct{})}
	c.done.Go(func() {
		for {
			select {
			case <-c.quit:
				return
			case <-k.t.Context().Done(): // the test has failed
				return
			default:
			}
			out, err := exec.Command("docker", append([]string{"exec", container}, command...)...).CombinedOutput()
			c.mu.Lock()
			c.made++
			if err != nil {
				c.failed = append(c.failed, fmt.Sprintf("%v: %s", err, out))
			}
			c.mu.Unlock()
		}
	})
	return c
}

// more waits until n more calls have ended.
func (c *calls) more(n int) {
	c.t.Helper()
	count := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.made
	}
	was := count()
	eventually(c.t, time.Minute, c.what+" again", func() error {
		if is := count(); is < was+n {
			return fmt.Errorf("%d calls, then %d", was, is)
		}
		return nil
	})
}

// end stops the calls, and fails the test if one of them has failed.
func (c *calls) end() {
	c.t.Helper()
	close(c.quit)
	c.done.Wait()
	c.t.Logf("%s: %d runs, %d failed", c.what, c.made, len(c.failed))
	if c.made == 0 {
		c.t.Errorf("%s: nothing was called", c.what)
	}
	for _, f := range c.failed[:min(3, len(c.failed))] {
		c.t.Errorf("%s: %s", c.what, f)
	}
}

// pgbench returns a run of clients that query through a name, for the given time.
func pgbench(host string, port int, more ...string) []string {
	return append([]string{"/usr/lib/postgresql/15/bin/pgbench", "-n", "-h", host, "-p", fmt.Sprint(port), "-U",
		"postgres"}, append(more, "postgres")...)
}

func TestNothingIsDroppedInsideAStackInTwentyDeployments(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k, port2 := newHops(t)
	k.must(0, "deploy")
	caller := k.name + "-caller.1.1"
	sql := func(name, text string) string {
		docker(t, "exec", caller, "bash", "-c", fmt.Sprintf("echo %q > /tmp/%s", text, name))
		return "/tmp/" + name
	}
	one, long := sql("one", "select 1;"), sql("long", "select pg_sleep(1);")
	l := startLoad(t, loadPlan{urls: []string{k.url("/"), fmt.Sprintf("http://127.0.0.1:%d/", port2)}, rate: 60, slow: k.url("/slow?d=2s")})
	through := []*calls{
		k.calls("a connection per transaction", caller,
			pgbench("pool", 6432, "-C", "-c", "4", "-R", "40", "-T", "2", "-f", one)...),
		k.calls("sessions of a second", caller, pgbench("pool", 6432, "-C", "-c", "2", "-t", "2", "-f", long)...),
		k.calls("a pool on what doesn't change", caller, pgbench("db", 5432, "-c", "4", "-R", "40", "-T", "5", "-f", one)...),
	}
	began := time.Now()
	for n := 1; n <= 20; n++ {
		k.env = append(k.env, fmt.Sprintf("N=%d", n))
		if r := k.rhumb("deploy"); r.code != 0 {
			t.Fatalf("deployment %d exits with %d:\n%s", n, r.code, r.out)
		}
	}
	t.Logf("20 deployments of two services in %.1f s", time.Since(began).Seconds())
	for _, c := range through {
		c.end()
	}
	y := l.end()
	t.Logf("through nginx and HAProxy: %v", y)
	if y.failed > 0 || len(y.releases) < 20 {
		t.Errorf("%d failed, %d releases were seen", y.failed, len(y.releases))
	}
}

func TestCallersInsideAStackWaitForAServiceThatMustStopFirst(t *testing.T) {
	t.Parallel()
	needDocker(t)
	k, _ := newHops(t)
	k.must(0, "deploy")
	caller := k.name + "-caller.1.1"
	c := k.calls("psql", caller, "psql", "-qAt", "-h", "db", "-U", "postgres", "-c", "select 1")
	c.more(3)
	k.env = append(k.env, "DB=1")
	k.must(0, "deploy")
	c.more(3)
	k.must(0, "restart", "db")
	c.more(3)
	c.end()

	// Running services can resolve a service that is added later. A service without replicas refuses at once.
	k.write("compose.yaml", strings.Replace(hops, "volumes: {data: }", later+"volumes: {data: }", 1))
	k.must(0, "deploy")
	docker(t, "exec", caller, "bash", "-ec", "getent hosts late; exec 3<>/dev/tcp/late/8000; printf 'GET / "+
		"HTTP/1.0\\r\\n\\r\\n' >&3; grep -q '200 OK' <&3")
	began := time.Now()
	if out, err := exec.Command("docker", "exec", caller, "bash", "-c",
		"exec 3<>/dev/tcp/nobody/8000").CombinedOutput(); err == nil || time.Since(began) > 2*time.Second {
		t.Errorf("after %s: %v, %s", time.Since(began), err, out)
	}

	k.must(0, "down", "--volumes")
	left, err := filepath.Glob("/run/netns/rhumb-" + vip.InstanceOf(filepath.Join(k.s.data, "proxy")) + "-*")
	if err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

const later = `
  late:
    image: rhumb-test/app:1
    x-rhumb: {ready: {http: /health, port: 8000}}
  nobody:
    image: rhumb-test/app:1
    deploy: {replicas: 0}
`
