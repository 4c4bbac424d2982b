package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// installed is what is deployed on a machine of its own: all that a hardened daemon might not be allowed to do.
const installed = `
name: shop
services:
  app:
    image: rhumb-test/app:1
    environment: {RELEASE: "${RELEASE}"}
    ports: [{target: 8000, published: "8080", app_protocol: http}, "8090:8000"]
    volumes: ["data:/data", "/home/shop/files:/files"]
    secrets: [{source: token, uid: "1234", gid: "2345", mode: 0440}]
    deploy: {replicas: 2, update_config: {order: start-first}}
    healthcheck: {test: [CMD, /app, check, "http://127.0.0.1:8000/health"], interval: 1s}
volumes: {data: {}}
secrets: {token: {file: ./token.txt}}
`

// broken are programs that are rhumb until they are to serve.
var broken = map[string]string{
	"crashes": "#!/bin/sh\ncase \"$1\" in\nserver) echo 'it crashes' >&2; exit 1 ;;\ninstall) ;;\n*) exec /root/v2 " +
		"\"$@\" ;;\nesac\n",
	"hangs": "#!/bin/sh\ncase \"$1\" in\nserver) exec sleep 1000 ;;\ninstall) ;;\n*) exec /root/v2 \"$@\" ;;\nesac\n",
}

// Costs about a minute, on a machine that has little else to do.
func TestAnUpgradeDropsNothingAndGoesBackAutomatically(t *testing.T) {
	t.Parallel()
	needDocker(t)
	m := newMachine(t)
	m.must(0, "/root/v1 install")
	if again := m.must(0, "/root/v1 install"); !strings.Contains(again, "nothing changed: rhumb") {
		t.Errorf("installing again says:\n%s", again)
	}
	m.put("compose.yaml", installed)
	m.put("token.txt", "hush")
	t.Log(m.must(0, "cd /root && RELEASE=one rhumb deploy"))
	m.measures()
	m.hardened()
	m.keepsLogs()

	l := startLoad(t, loadPlan{urls: []string{"http://" + m.addr + ":8080/"}, rate: 200, slow: "http://" + m.addr + ":8080/slow?d=3s"})
	m.must(0, "rhumb upgrade /root/v2")
	m.runs("v0.2.0")
	if out := m.must(2, "rhumb upgrade /root/hangs --binary /elsewhere"); !strings.Contains(out,
		"--binary needs --restart") {
		t.Errorf("it says:\n%s", out)
	}
	m.must(2, "rhumb upgrade /root/v1")
	for name := range broken {
		out := m.must(3, "rhumb upgrade --within 6s /root/"+name)
		t.Log(out)
		m.runs("v0.2.0")
	}
	m.must(0, "cd /root && RELEASE=two rhumb deploy")
	m.must(0, "rhumb upgrade --force /root/v1")
	m.runs("v0.1.0")
	tally := l.end()
	t.Log(tally)
	if tally.failed > 0 || tally.sent < 1000 || tally.releases["two"] == 0 {
		t.Error("requests failed, or there were too few")
	}
	eventually(t, 30*time.Second, "the proxies that were succeeded have ended", func() error {
		if out := m.run("pgrep -f '^/usr/local/bin/rhumb proxy' | wc -l").out; strings.TrimSpace(out) != "1" {
			return fmt.Errorf("there are %s processes", out)
		}
		return nil
	})
	m.backedUp()
	m.uninstalled()
}

// units are the services that an installation has.
var units = []string{"rhumb", "rhumb-proxy", "rhumb-observe"}

// machine is a container with systemd as its first process and an engine of its own.
type machine struct {
	t    *testing.T
	name string
	addr string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, name: fmt.Sprintf("rhumb-e2e-%06x", time.Now().UnixNano()&0xffffff)}
	t.Cleanup(func() {
		if t.Failed() {
			out, _ := exec.Command("docker", "exec", m.name, "journalctl", "--no-pager", "-n", "100", "-u", "rhumb", "-u",
				"rhumb-proxy", "-u", "rhumb-observe").CombinedOutput()
			t.Logf("the journal ends with:\n%s", out)
		}
		_ = exec.Command("docker", "rm", "-f", "-v", m.name).Run()
	})
	m.begin()
	m.addr = strings.TrimSpace(docker(t, "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
		m.name))
	eventually(t, time.Minute, "systemd and the engine run", func() error {
		if r := m.run("systemctl is-system-running && docker version"); r.code != 0 {
			return fmt.Errorf("exit %d: %s", r.code, r.out)
		}
		return nil
	})
	image := exec.Command("sh", "-c", "docker save rhumb-test/app:1 | docker exec -i "+m.name+" docker load")
	if out, err := image.CombinedOutput(); err != nil {
		t.Fatalf("load the image: %v\n%s", err, out)
	}
	for _, version := range []string{"v1", "v2"} {
		path := filepath.Join(t.TempDir(), version)
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version=v0."+version[1:]+".0", "-o",
			path, "rhumb/cmd/rhumb")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build rhumb: %v\n%s", err, out)
		}
		docker(t, "cp", path, m.name+":/root/"+version)
	}
	for name, script := range broken {
		m.put(name, script)
	}
	return m
}

// begin starts the machine's container. It is not privileged, because that fails where the engine itself lacks a
// capability. Then old engines refuse ALL unless the capability is dropped, and new ones refuse to drop it.
func (m *machine) begin() {
	m.t.Helper()
	run := func(caps ...string) error {
		args := append([]string{"run", "-d", "--name", m.name}, caps...)
		args = append(args, "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
			"--security-opt", "systempaths=unconfined", "--cgroupns=private", "--tmpfs", "/run:exec", "--tmpfs", "/run/lock",
			"--tmpfs", "/tmp:exec", "-v", "/var/lib/docker", "-v", "/var/lib/containerd", "rhumb-test/systemd:1")
		out, err := exec.Command("docker", args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("docker %v: %w\n%s", args, err, out)
		}
		return nil
	}
	err := run("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE")
	if err != nil && strings.Contains(err.Error(), "invalid CapDrop") {
		err = run("--cap-add", "ALL")
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// put writes a file into /root.
func (m *machine) put(name, content string) {
	m.t.Helper()
	path := filepath.Join(m.t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		m.t.Fatal(err)
	}
	docker(m.t, "cp", path, m.name+":/root/"+name)
}

// run runs a shell command on the machine.
func (m *machine) run(command string) result {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker", "exec", "-e", "NO_COLOR=1", m.name, "sh", "-c", command)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		return result{-1, err.Error()}
	}
	return result{cmd.ProcessState.ExitCode(), string(out)}
}

func (m *machine) must(code int, command string) string {
	m.t.Helper()
	start := time.Now()
	r := m.run(command)
	if r.code != code {
		m.t.Fatalf("%s exits with %d, want %d:\n%s", command, r.code, code, r.out)
	}
	m.t.Logf("%s: exit %d after %.1f s", command, r.code, time.Since(start).Seconds())
	return r.out
}

// runs checks which version daemon and proxy are.
func (m *machine) runs(version string) {
	m.t.Helper()
	if out := m.must(0, "rhumb version"); strings.Count(out, "rhumb "+version) != 2 {
		m.t.Errorf("it runs\n%s", out)
	}
	if out := m.must(0, "rhumb routes --format json"); !strings.Contains(out, `"Version": "`+version+`"`) {
		m.t.Errorf("the proxy is another one:\n%s", out)
	}
	for _, unit := range units {
		m.must(0, "systemctl is-active "+unit) // of several units one would do
	}
	m.must(0, "[ $(systemctl show -p NRestarts --value rhumb-proxy rhumb-observe | tr -d '\n') = 00 ]")
}

// keepsLogs checks that lines are found again, also those that are in files already.
func (m *machine) keepsLogs() {
	m.t.Helper()
	const find = "rhumb logs -p shop --since 1h | grep -q listening"
	m.must(0, "for i in $(seq 30); do "+find+" && break; sleep 1; done; "+
		"for i in $(seq 12); do "+find+" || exit 1; sleep 1; done")
}

// measures checks that all that is measured can be measured in the service's confinement.
func (m *machine) measures() {
	m.t.Helper()
	for _, series := range []string{`rhumb_replica_cpu_seconds_total{stack="shop"}`,
		`rhumb_replica_memory_bytes{stack="shop"}`, `rhumb_replica_network_sent_bytes_total{stack="shop"}`,
		`rhumb_service_replicas_ready{stack="shop"} > 0`, `rhumb_requests_total{stack="shop"}`,
		`rhumb_process_up{process="server"} > 0`, `rhumb_process_up{process="proxy"} > 0`,
		`rhumb_process_memory_bytes{process="proxy"}`, `rhumb_node_clock_synchronised`, `rhumb_node_disk_bytes`} {
		m.must(0, "for i in $(seq 60); do "+
			"rhumb metrics --at now --format json '"+series+"' | grep -q Value && exit 0; sleep 1; done; exit 1")
	}
	for port, words := range map[int]string{7485: "^rhumb_node_cpus ", 7484: "^HTTP/1.[01] 4"} {
		m.must(0, fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/127.0.0.1/%d; `+
			`printf "GET /metrics HTTP/1.0\r\nHost: localhost\r\n\r\n" >&3; grep -q "%s" <&3'`, port, words))
	}
}

// hardened checks what the services may do, and that it is enough for what they have done.
func (m *machine) hardened() {
	m.t.Helper()
	for _, unit := range units {
		out := m.must(0, "cat /proc/$(systemctl show -p MainPID --value "+unit+")/status")
		if !strings.Contains(out, "NoNewPrivs:\t1") || !strings.Contains(out, "Seccomp:\t2") ||
			strings.Contains(out, "CapBnd:\t0000003f") {
			m.t.Errorf("%s is not hardened:\n%s", unit, out)
		}
		m.t.Log(strings.TrimSpace(m.must(0, "systemd-analyze security --no-pager "+unit+" | tail -n 1")))
	}
	// Namespaces that the proxy mounts must be the machine's, and it must be able to make them.
	if out := m.must(0, "rhumb routes --format json"); strings.Contains(out, "NoSegments") {
		m.t.Errorf("there are no service addresses:\n%s", out)
	}
	m.must(0, "[ -n \"$(ls /run/netns)\" ] && cd /root && RELEASE=one rhumb exec app /app check http://app:8000/health")
	m.must(0, "[ $(readlink /proc/1/ns/mnt) = $(readlink /proc/$(systemctl show -p MainPID --value rhumb-proxy)/ns/mnt) ]")
	m.must(0, "[ $(stat -c %u:%g:%a /run/rhumb/files/*/content) = 1234:2345:440 ] && [ -d /home/shop/files ]")
	m.must(0, "[ $(stat -c %U:%G:%a /run/rhumb/rhumb.sock) = root:rhumb:660 ] && setpriv --reuid rhumb --regid rhumb "+
		"--clear-groups rhumb ps -p shop")
}

// backedUp restores a backup on a machine that serves.
func (m *machine) backedUp() {
	m.t.Helper()
	before := m.must(0, "docker ps -q | sort")
	m.must(0, "RHUMB_BACKUP_PASSPHRASE=correct-horse rhumb backup /root/b")
	m.must(1, "rhumb restore /root/b") // it runs
	m.must(0, "systemctl stop rhumb && rm -r /var/lib/rhumb/rhumb.db* /var/lib/rhumb/key")
	m.must(0, "RHUMB_BACKUP_PASSPHRASE=correct-horse rhumb restore /root/b && systemctl start rhumb")
	if out := m.must(0, "rhumb releases -p shop"); !strings.Contains(out, "shop@2") {
		m.t.Errorf("the releases are\n%s", out)
	}
	if after := m.must(0, "docker ps -q | sort"); after != before {
		m.t.Errorf("the containers were\n%sand are\n%s", before, after)
	}
}

// uninstalled takes rhumb away in steps.
func (m *machine) uninstalled() {
	m.t.Helper()
	if out := m.must(1, "rhumb uninstall"); !strings.Contains(out, "these stacks are deployed: shop") {
		m.t.Errorf("it says:\n%s", out)
	}
	m.must(0, "rhumb bans add 203.0.113.7")
	eventually(m.t, 10*time.Second, "all of rhumb's is in the kernel", func() error {
		if had := m.inKernel(); !strings.Contains(had, "1070:") || !strings.Contains(had, "table inet rhumb-") ||
			!strings.Contains(had, "table inet rhumb_bans_") {
			return fmt.Errorf("there are\n%s", had)
		}
		return nil
	})
	m.must(0, "rhumb down -p shop")
	out := m.must(0, "rhumb uninstall")
	if left := m.inKernel(); strings.Contains(left, "107") || strings.Contains(left, "rhumb") {
		m.t.Errorf("the kernel still has\n%s", left)
	}
	if !strings.Contains(out, "/var/lib/rhumb (releases") || !strings.Contains(out, "volumes of stacks: 1") {
		m.t.Errorf("it says:\n%s", out)
	}
	m.must(0, "[ -s /var/lib/rhumb/key ] && docker volume inspect shop_data && [ ! -e /usr/local/bin/rhumb ] && ! "+
		"systemctl cat rhumb rhumb-proxy && ! pidof rhumb")
	m.must(0, "/root/v1 install --no-start && /root/v1 uninstall --force --purge --yes && [ ! -e /var/lib/rhumb ] && "+
		"! getent group rhumb")
}

// inKernel returns the machine's routing rules and tables of nftables, by this machine's programs.
func (m *machine) inKernel() (all string) {
	m.t.Helper()
	ns := "--net=/proc/" + strings.TrimSpace(docker(m.t, "inspect", "-f", "{{.State.Pid}}", m.name)) + "/ns/net"
	for _, ask := range []string{"ip rule", "ip -6 rule", "nft list tables"} {
		out, err := exec.Command("nsenter", append([]string{ns}, strings.Fields(ask)...)...).CombinedOutput()
		if err != nil {
			m.t.Errorf("%s: %v: %s", ask, err, out)
		}
		all += string(out)
	}
	return all
}
