package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rhumb"
	"rhumb/internal/seal"
	"rhumb/sqlite"
)

// pair is a stack whose two services change with every deployment, and one that never does.
const pair = `
services:
  db:
    image: rhumb-test/app:1
    volumes: [data:/data]
  api:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}"}
    secrets: [token]
    depends_on: [db]
    deploy: {update_config: {monitor: 0s}}
    x-rhumb: {ready: {http: /health, port: 8000}, drain: 1s}
  web:
    image: rhumb-test/app:1
    environment: {RELEASE: "${V}"}
    ports: [{target: 8000, published: "${PORT}", app_protocol: http}]
    deploy: {update_config: {monitor: 0s}}
    x-rhumb: {drain: 1s}
volumes: {data: }
secrets: {token: {file: ./token}}
`

// usage is what the server and its stack take of the machine.
type usage struct {
	daemon, proxy process
	disk, memory  int // bytes in the data folder, and of contents in memory
	containers    int
	networks      int
	namespaces    int
	rules         int // in those namespaces
}

// process is what one process takes.
type process struct{ kB, files, threads, goroutines int }

// figures names the numbers, so that they can be compared. slack is what may come and go beside the 5%.
func (u usage) figures() []figure {
	return []figure{
		{"the daemon's memory (kB)", u.daemon.kB, 3072}, {"the proxy's memory (kB)", u.proxy.kB, 3072},
		{"the daemon's descriptors", u.daemon.files, 4}, {"the proxy's descriptors", u.proxy.files, 8},
		{"the daemon's goroutines", u.daemon.goroutines, 4}, {"the proxy's goroutines", u.proxy.goroutines, 16},
		{"the daemon's threads", u.daemon.threads, 3}, {"the proxy's threads", u.proxy.threads, 3},
		{"the data folder without logs (bytes)", u.disk, 0}, {"contents in memory (bytes)", u.memory, 16},
		{"containers", u.containers, 0}, {"networks", u.networks, 0}, {"namespaces", u.namespaces, 0}, {"rules", u.rules, 0},
	}
}

type figure struct {
	name  string
	value int
	slack int
}

// soakDeployments is how many deployments the test makes; RHUMB_SOAK says otherwise.
func soakDeployments(t *testing.T) int {
	text := os.Getenv("RHUMB_SOAK")
	if text == "" {
		return 50
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 20 {
		t.Fatalf("RHUMB_SOAK=%s is no number from 20 on", text)
	}
	return n
}

func TestDeploymentsByTheScoreDropNothingAndLeaveNothingBehind(t *testing.T) {
	needDocker(t)
	count := soakDeployments(t)
	s := idleServer(t, binary)
	s.fillHistory()
	s.start()
	s.await()
	k := newStack(t, s, pair)
	deploy := func(v int) {
		t.Helper()
		k.env = []string{fmt.Sprintf("V=%d", v)}
		k.write("token", fmt.Sprintf("token %06d", v))
		if r := k.rhumb("deploy"); r.code != 0 {
			t.Fatalf("deployment %d exits with %d:\n%s", v, r.code, r.out)
		}
	}
	deploy(1)
	l := startLoad(t, loadPlan{urls: []string{k.url("/")}, rate: 50, inner: k.innerURL("api")})
	var first, last []usage
	for v := 2; v <= count+1; v++ {
		deploy(v)
		switch part := 5 * (v - 2) / count; part {
		case 1: // what is filled once is full by then
			k.settled(resumeLimit)
			first = append(first, k.usage())
		case 4:
			k.settled(resumeLimit)
			last = append(last, k.usage())
		}
	}
	early, late := median(first), median(last)
	for i, e := range early {
		t.Logf("%s: %d early, %d at the end", e.name, e.value, late[i].value)
		if e.value == 0 && !strings.Contains(e.name, "namespaces") && !strings.Contains(e.name, "rules") {
			t.Errorf("%s: not measured", e.name)
		}
		if grown := late[i].value - e.value; grown > e.value/20+e.slack {
			t.Errorf("%s has grown from %d to %d", e.name, e.value, late[i].value)
		}
	}
	y := l.end()
	t.Logf("%d deployments: %v", count, y)
	if y.failed > 0 {
		t.Errorf("%d requests failed", y.failed)
	}
}

// median returns the median of each figure.
func median(samples []usage) []figure {
	result := samples[0].figures()
	for i := range result {
		var values []int
		for _, u := range samples {
			values = append(values, u.figures()[i].value)
		}
		slices.Sort(values)
		result[i].value = values[len(values)/2]
	}
	return result
}

// fillHistory puts as many events into the server's store as are kept: from then on old ones make room for new ones.
func (s *server) fillHistory() {
	s.t.Helper()
	box, err := seal.Open(filepath.Join(s.data, "key"))
	if err != nil {
		s.t.Fatal(err)
	}
	store, err := sqlite.Open(filepath.Join(s.data, "rhumb.db"), box)
	if err != nil {
		s.t.Fatal(err)
	}
	for n := range 10_600 {
		e := rhumb.Event{Kind: rhumb.EventStarted, Stack: "former", Service: "api", Replica: "former-api.17.1", Slot: 1,
			Release:    17,
			Deployment: int64(n / 10), Text: "environment RELEASE, secret token changed"}
		if _, err := store.Append(s.t.Context(), e); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// usage looks at what the server and the stack take now.
func (k *stack) usage() usage {
	k.t.Helper()
	c := k.s.dialled()
	defer c.Close()
	info, err := c.Info(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	routes, err := c.Routes(k.t.Context())
	if err != nil {
		k.t.Fatal(err)
	}
	k.s.mu.Lock()
	pid := k.s.cmd.Process.Pid
	k.s.mu.Unlock()
	u := usage{daemon: look(k.t, pid), proxy: look(k.t, routes.PID), disk: weigh(k.t, k.s.data),
		containers: len(k.containers())}
	u.daemon.goroutines, u.proxy.goroutines = info.Goroutines, routes.Goroutines
	u.networks = len(strings.Fields(docker(k.t, "network", "ls", "-q", "--filter", "name=^"+k.name)))
	for _, content := range kept(k.t) {
		if strings.HasPrefix(content, "token ") && len(content) == len("token 000000") {
			u.memory += len(content)
		}
	}
	for _, path := range k.s.namespaces() {
		u.namespaces++
		out, err := exec.Command("nsenter", "--net="+path, "nft", "list", "ruleset").Output()
		if err == nil {
			u.rules += strings.Count(string(out), "\n")
		}
	}
	return u
}

// look returns the usage of a process.
func look(t *testing.T, pid int) process {
	t.Helper()
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	files, err := os.ReadDir(filepath.Join(dir, "fd"))
	if err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir(filepath.Join(dir, "task"))
	if err != nil {
		t.Fatal(err)
	}
	return process{kB: residentKB(t, pid), files: len(files), threads: len(threads)}
}

// maxLog is the limit of the database's log, which SQLite starts again at 1,000 pages.
const maxLog = 6 << 20

// weigh adds up the sizes of the files in a state folder, except logs: these grow to a limit of their own and then
// start again.
func weigh(t *testing.T, folder string) (bytes int) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return nil // it has gone meanwhile
		}
		info, err := e.Info()
		switch {
		case err != nil || strings.HasSuffix(path, ".log"):
		case strings.HasSuffix(path, "-wal"):
			if info.Size() > maxLog {
				t.Errorf("%s has %d bytes", path, info.Size())
			}
		default:
			bytes += int(info.Size())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
