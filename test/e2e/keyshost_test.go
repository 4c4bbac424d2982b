package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// namespaceStack has what containers share with the server and with each other.
var namespaceStack = keyStack{
	name: "namespaces",
	compose: `
x-box: &box {image: "debian:12-slim", command: sleep infinity, init: true, healthcheck: {test: [CMD, "true"], interval: 60s}}
services:
  open:
    <<: *box
    pid: host
    uts: host
    ipc: host
    userns_mode: host
    cgroup: host
    cgroup_parent: /${NAME}parent
  sealed:
    <<: *box
    read_only: true
    network_mode: none
    dns: [9.9.9.9]
    security_opt: ["seccomp:unconfined"]
    devices:
      - "/dev/fuse:/dev/tunnel:r"
      - {source: /dev/full, target: /dev/brim, permissions: rw}
    device_cgroup_rules: ["c 10:237 rw"]
    tmpfs: /tmp:dev
  base:
    <<: *box
    ipc: shareable
    volumes: ["shared:/shared"]
    container_name: ${NAME}base
  joined:
    <<: *box
    network_mode: service:base
    pid: service:base
    ipc: service:base
    volumes_from: ["base:ro"]
  bridged: {<<: *box, network_mode: bridge, links: ["base:alias"]}
  standard: {<<: *box, network_mode: default}
volumes: {shared: {}}
`,
	prepare: func(k *stack) {
		k.t.Cleanup(func() { // the engine makes parents of cgroups, and leaves them
			for _, pattern := range []string{"/sys/fs/cgroup/*/", "/sys/fs/cgroup/"} {
				dirs, _ := filepath.Glob(pattern + k.name + "parent")
				for _, dir := range dirs {
					_ = os.Remove(dir)
				}
			}
		})
	},
	shown: []shown{
		{keys: "pid", of: "open", run: "cat /proc/[0-9]*/comm 2>/dev/null | grep -x -m1 dockerd", want: "dockerd"},
		{keys: "uts", of: "open", run: "readlink /proc/1/ns/uts /proc/self/ns/uts | uniq | wc -l", want: "1"},
		{keys: "ipc", of: "open", run: "readlink /proc/1/ns/ipc /proc/self/ns/ipc | uniq | wc -l", want: "1"},
		{keys: "userns_mode", of: "open", look: "{{.HostConfig.UsernsMode}}", want: "host",
			why: "this engine remaps no users, so that both ways look alike"},
		{keys: "cgroup", of: "open", run: "readlink /proc/1/ns/cgroup /proc/self/ns/cgroup | uniq | wc -l", want: "1"},
		{keys: "cgroup_parent", of: "open", run: "grep -c /STACKparent/ /proc/self/cgroup | sed 's/^[1-9].*/inside/'",
			want: "inside"},
		{keys: "read_only", of: "sealed", run: "touch /x", want: ".*Read-only file system"},
		{keys: "network_mode", of: "sealed", run: "ls /sys/class/net", want: "lo"},
		{keys: "dns", of: "sealed", run: "cat /etc/resolv.conf", want: `(?s).*nameserver 9\.9\.9\.9.*`},
		{keys: "security_opt", of: "sealed", run: "grep Seccomp: /proc/1/status", want: `Seccomp:\s+0`},
		{keys: "devices[].source devices[].target devices[].permissions", of: "sealed",
			run: "stat -c %t:%T /dev/tunnel /dev/brim; (: </dev/tunnel) && echo opened; (: >/dev/tunnel) || echo refused; " +
				"echo x >/dev/brim", want: `(?s)a:e5\n1:7\nopened\n.*refused\n.*(No space left on device|I/O error)`},
		{keys: "device_cgroup_rules", of: "sealed", run: "mknod /tmp/control c 10 237 && (: <>/tmp/control) && echo opened",
			want: "opened"},
		{keys: "container_name", of: "joined", run: "getent hosts STACKbase | wc -l", want: "1"},
		{keys: "network_mode pid", of: "joined",
			run:  "cat /proc/1/comm; ls /proc | grep -c '^[0-9]*$' | sed 's/^[4-9].*/both/'; hostname",
			want: `(?s)docker-init\nboth\n.*`},
		{keys: "ipc", of: "joined", look: "{{slice .HostConfig.IpcMode 0 10}}", want: "container:"},
		{keys: "volumes_from", of: "joined", run: "grep ' /shared ' /proc/mounts", want: `\S+ /shared \S+ ro,.*`},
		{keys: "network_mode=bridge links", of: "bridged", run: "getent hosts base alias | awk '{print $1}' | uniq | wc -l",
			want: "1"},
		{keys: "network_mode=default", of: "standard", run: "getent hosts base | wc -l", want: "1"},
	},
}

// limitStack has limits of all kinds.
var limitStack = keyStack{
	name: "limits",
	compose: `
x-box: &box {image: "debian:12-slim", command: sleep infinity, init: true, healthcheck: {test: [CMD, "true"], interval: 60s}}
services:
  cpu: {<<: *box, cpus: 0.5, cpu_shares: 512, cpuset: "0", healthcheck: {disable: true}}
  quota: {<<: *box, cpu_quota: 20000, cpu_period: 50000}
  memory:
    <<: *box
    mem_limit: 64m
    mem_reservation: 32m
    memswap_limit: 96m
    mem_swappiness: 10
    oom_kill_disable: true
    pids_limit: 55
  disk:
    <<: *box
    blkio_config:
      weight: 300
      weight_device: [{path: "${DISK}", weight: 200}]
      device_read_bps: [{path: "${DISK}", rate: 10mb}]
      device_write_bps: [{path: "${DISK}", rate: 20000000}]
      device_read_iops: [{path: "${DISK}", rate: 1000}]
      device_write_iops: [{path: "${DISK}", rate: 2000}]
  deployed:
    <<: *box
    deploy:
      mode: global
      labels: {deployed: "yes"}
      resources:
        limits: {cpus: "0.25", memory: 48m, pids: 44}
        reservations: {memory: 24m}
`,
	prepare: func(k *stack) {
		out, err := exec.Command("lsblk", "-dpno", "NAME").Output()
		if err != nil {
			k.t.Fatal(err)
		}
		disk, _, _ := strings.Cut(string(out), "\n")
		k.env = []string{"DISK=" + disk}
	},
	shown: []shown{
		{keys: "cpus", of: "cpu", run: cgroup("cpu/cpu.cfs_quota_us", "cpu.max"), want: "50000( 100000)?"},
		{keys: "healthcheck.disable", of: "cpu", look: "{{json .Config.Healthcheck}}", want: `{"Test":\["NONE"\]}`},
		{keys: "cpu_shares", of: "cpu", run: cgroup("cpu/cpu.shares", "cpu.weight"), want: "512|20"},
		{keys: "cpuset", of: "cpu", run: "sed -n 's/^Cpus_allowed_list:\\s*//p' /proc/1/status", want: "0"},
		{keys: "cpu_quota cpu_period", of: "quota", run: cgroup("cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us", "cpu.max"),
			want: "20000\\s50000"},
		{keys: "mem_limit", of: "memory", run: cgroup("memory/memory.limit_in_bytes", "memory.max"), want: "67108864"},
		{keys: "mem_reservation", of: "memory", run: cgroup("memory/memory.soft_limit_in_bytes", "memory.low"),
			want: "33554432"},
		{keys: "memswap_limit", of: "memory", run: cgroup("memory/memory.memsw.limit_in_bytes", "memory.swap.max"),
			want: "100663296|33554432"},
		{keys: "mem_swappiness", of: "memory", run: cgroup("memory/memory.swappiness", "cgroup.procs >/dev/null; echo 10"),
			want: "10", why: "version 2 of cgroups has it not"},
		{keys: "oom_kill_disable", of: "memory",
			run:  cgroup("memory/memory.oom_control", "cgroup.procs >/dev/null; echo oom_kill_disable 1"),
			want: "(?s)oom_kill_disable 1.*", why: "version 2 of cgroups has it not"},
		{keys: "pids_limit", of: "memory", run: cgroup("pids/pids.max", "pids.max"), want: "55"},
		{keys: "blkio_config.weight blkio_config.weight_device[].path blkio_config.weight_device[].weight", of: "disk",
			look: "{{.HostConfig.BlkioWeight}} {{json .HostConfig.BlkioWeightDevice}}",
			want: `0 \[\]|300 \[{"Path":"/dev/\S+","Weight":200}\]`,
			why:  "kernels without weights have the engine leave them out, with a warning"},
		{keys: "blkio_config.device_read_bps[].path blkio_config.device_read_bps[].rate", of: "disk",
			look: "{{json .HostConfig.BlkioDeviceReadBps}}", want: `\[{"Path":"/dev/\S+","Rate":10485760}\]`},
		{keys: "blkio_config.device_write_bps[].path blkio_config.device_write_bps[].rate", of: "disk",
			look: "{{json .HostConfig.BlkioDeviceWriteBps}}", want: `\[{"Path":"/dev/\S+","Rate":20000000}\]`},
		{keys: "blkio_config.device_read_iops[].path blkio_config.device_read_iops[].rate", of: "disk",
			look: "{{json .HostConfig.BlkioDeviceReadIOps}}", want: `\[{"Path":"/dev/\S+","Rate":1000}\]`},
		{keys: "blkio_config.device_write_iops[].path blkio_config.device_write_iops[].rate", of: "disk",
			look: "{{json .HostConfig.BlkioDeviceWriteIOps}}", want: `\[{"Path":"/dev/\S+","Rate":2000}\]`},
		{keys: "deploy.mode=global deploy.labels", of: "deployed", look: `{{index .Config.Labels "deployed"}}`, want: "yes"},
		{keys: "deploy.resources.limits.cpus deploy.resources.limits.memory deploy.resources.limits.pids " +
			"deploy.resources.reservations.memory", of: "deployed",
			run: cgroup("cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes pids/pids.max memory/memory.soft_limit_in_bytes",
				"cpu.max memory.max pids.max memory.low"), want: `25000\s(100000\s)?50331648\s44\s25165824`},
	},
}

// cgroup prints files of the container's cgroup: of version 1 if they are there, else of version 2.
func cgroup(v1, v2 string) string {
	return "cd /sys/fs/cgroup; if test -d memory; then cat " + v1 + "; else cat " + v2 + "; fi"
}
