package e2e

import (
	"os/exec"
	"path/filepath"
)

// insideStack has what the inside of plain containers can show.
var insideStack = keyStack{
	name: "inside",
	compose: `
services:
  box:
    image: debian:12-slim
    platform: linux/amd64
    pull_policy: never
    entrypoint: [/bin/sh, -c]
    command: ["echo begun; exec sleep infinity"]
    working_dir: /srv
    user: "1234:2345"
    group_add: ["3456"]
    hostname: boxhost
    domainname: box.example
    environment: {PLAIN: "a b", SHARED: "from environment"}
    env_file:
      - {path: plain.env, required: true}
      - {path: raw.env, format: raw}
      - {path: missing.env, required: false}
    label_file: labels.txt
    labels: {own: label}
    init: true
    tty: true
    stdin_open: true
    cap_drop: [CHOWN]
    cap_add: [NET_ADMIN]
    security_opt: ["no-new-privileges:true", "seccomp=profile.json"]
    sysctls: {net.core.somaxconn: 777}
    ulimits: {nofile: {soft: 1111, hard: 2222}, core: 0}
    dns: [9.9.9.9]
    dns_search: [search.example]
    dns_opt: ["ndots:3"]
    extra_hosts: ["far.example:10.1.2.3", "host.docker.internal:host-gateway"]
    shm_size: 8m
    oom_score_adj: 444
    ipc: shareable
    cgroup: private
    runtime: runc
    isolation: default
    logging: {driver: json-file, options: {max-size: 1m, tag: box}}
    healthcheck: {test: ["CMD-SHELL", "test -e /dev/null"], interval: 61s, timeout: 7s, retries: 4, start_period: 9s, start_interval: 1s}
    expose: ["7001", "7002-7003/udp"]
    tmpfs: ["/short:size=1m,mode=1700"]
    volumes:
      - /anonymous
      - named:/named:ro
      - {type: volume, source: named, target: /etc/apt, volume: {nocopy: true}}
      - filled:/etc/cron.d
      - {type: bind, source: ./tree, target: /bound, bind: {propagation: rslave, create_host_path: false, recursive: disabled}}
      - {type: bind, source: ./made/folder, target: /made, bind: {create_host_path: true, selinux: z}}
      - {type: tmpfs, target: /cache, read_only: true, tmpfs: {size: 2m, mode: 0o700}}
volumes: {named: {}, filled: {}}
`,
	files: map[string]string{
		"plain.env": "FROM_FILE=\"quoted $PLAIN_OUT\"\nSHARED=from file\n", "raw.env": "RAW=\"kept $AS is\"\n",
		"labels.txt":      "filed=away\n",
		"tree/sub/hidden": "a file below a mount",
		"profile.json": `{"defaultAction": "SCMP_ACT_ALLOW", ` +
			`"syscalls": [{"names": ["mknodat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 30}]}`,
	},
	prepare: func(k *stack) {
		k.env = []string{"PLAIN_OUT=outer"}
		k.shareTree("tree", "sub")
	},
	shown: []shown{
		{keys: "image", of: "box", run: "sed -n 's/^VERSION_ID=//p' /etc/os-release", want: `"12"`},
		{keys: "platform", of: "box", run: "uname -m", want: "x86_64"},
		{keys: "pull_policy isolation=default", of: "box", run: "true", want: "",
			why: "that the container is there, without a registry, is the proof"},
		{keys: "entrypoint command", of: "box", run: "tr '\\0' '|' </proc/1/cmdline",
			want: `/sbin/docker-init\|--\|/bin/sh\|-c\|echo begun; exec sleep infinity\|`},
		{keys: "working_dir", of: "box", run: "pwd", want: "/srv"},
		{keys: "user group_add", of: "box", run: "id", want: `uid=1234 gid=2345 groups=2345,3456`},
		{keys: "hostname domainname", of: "box", run: "cat /proc/sys/kernel/hostname /proc/sys/kernel/domainname",
			want: "boxhost\nbox.example"},
		{keys: "environment env_file[].path env_file[].format env_file[].required", of: "box",
			run: `echo "$PLAIN:$SHARED:$FROM_FILE:$RAW"`, want: `a b:from environment:quoted outer:"kept \$AS is"`},
		{keys: "label_file labels", of: "box", look: `{{index .Config.Labels "own"}} {{index .Config.Labels "filed"}}`,
			want: "label away", why: "labels are the engine's"},
		{keys: "init", of: "box", run: "cat /proc/1/comm", want: "docker-init"},
		{keys: "tty", of: "box", run: "readlink /proc/1/fd/0", want: "/dev/pts/0"},
		{keys: "stdin_open", of: "box", look: "{{.Config.OpenStdin}}", want: "true",
			why: "an open stdin without input looks like any terminal"},
		{keys: "cap_drop cap_add", of: "box", run: "grep CapBnd /proc/1/status", want: `CapBnd:\s+0*a80435fa`},
		{keys: "security_opt", of: "box", run: "grep -E 'NoNewPrivs|Seccomp:' /proc/1/status; mknod /tmp/x p",
			want: `(?s)NoNewPrivs:\s1\nSeccomp:\s2\nmknod: .*Read-only file system`},
		{keys: "sysctls", of: "box", run: "cat /proc/sys/net/core/somaxconn", want: "777"},
		{keys: "ulimits.NAME.soft ulimits.NAME.hard", of: "box", run: "sed -nE 's/^Max (open|core) [a-z ]+ //p' " +
			"/proc/1/limits", want: `0 +0 +bytes\s+1111 +2222 +files`},
		{keys: "dns_search dns_opt", of: "box", run: "cat /etc/resolv.conf",
			want: `(?s).*search search\.example\n.*options.* ndots:3.*`},
		{keys: "dns", of: "box", look: "{{json .HostConfig.Dns}}", want: `\["9.9.9.9"\]`,
			why: "the engine's own resolver stands before it"},
		{keys: "extra_hosts", of: "box", run: "cat /etc/hosts",
			want: `(?s).*\n10\.1\.2\.3\tfar\.example\n.*[0-9.]+\thost\.docker\.internal.*`},
		{keys: "shm_size", of: "box", run: "df -m /dev/shm | tail -1 | awk '{print $2}'", want: "8"},
		{keys: "oom_score_adj", of: "box", run: "cat /proc/1/oom_score_adj", want: "444"},
		{keys: "ipc", of: "box", look: "{{.HostConfig.IpcMode}}", want: "shareable",
			why: "who joins it shows it: see the joined service"},
		{keys: "cgroup", of: "box", run: "cut -d: -f3 /proc/1/cgroup | sort -u", want: "/"},
		{keys: "runtime", of: "box", look: "{{.HostConfig.Runtime}}", want: "runc",
			why: "a container doesn't know what started it"},
		{keys: "logging.driver logging.options", of: "box", look: "{{json .HostConfig.LogConfig}}",
			want: `{"Config":{"max-size":"1m","tag":"box"},"Type":"json-file"}`, why: "logs are the engine's"},
		{keys: "healthcheck.test healthcheck.interval healthcheck.timeout healthcheck.retries healthcheck.start_period",
			of: "box", look: "{{json .Config.Healthcheck}}",
			want: `{"Interval":61000000000,"Retries":4,("StartInterval":1000000000,)?"StartPeriod":9000000000,` +
				`"Test":\["CMD-SHELL","test -e /dev/null"\],"Timeout":7000000000}`, why: "the engine runs it"},
		{keys: "expose", of: "box", look: "{{json .Config.ExposedPorts}}",
			want: `{"7001/tcp":{},"7002/udp":{},"7003/udp":{}}`, why: "it is a record"},
		{keys: "tmpfs", of: "box", run: "grep ' /short ' /proc/mounts",
			want: `tmpfs /short tmpfs rw,\S*noexec\S*,size=1024k,mode=1700\S* 0 0`},
		{keys: "volumes[].type volumes[].source volumes[].target", of: "box",
			run:  "for d in /anonymous /named /etc/apt /bound /made /cache; do grep -c \" $d \" /proc/mounts; done",
			want: "1\n1\n1\n1\n1\n1"},
		{keys: "volumes[].read_only volumes[].tmpfs.size volumes[].tmpfs.mode", of: "box",
			run:  "grep -E ' /(cache|named) ' /proc/mounts | cut -d' ' -f2,4",
			want: `(?s)/named ro,.*/cache ro,\S*size=2048k,mode=700.*|/cache ro,\S*size=2048k,mode=700\S*\n/named ro,.*`},
		{keys: "volumes[].volume.nocopy", of: "box", run: "ls /etc/apt | wc -l; ls /etc/cron.d | wc -l", want: `0\n[1-9]`},
		{keys: "volumes[].bind.propagation", of: "box", run: "grep ' /bound ' /proc/self/mountinfo", want: ".* master:.*"},
		{keys: "volumes[].bind.recursive", of: "box", run: "ls /bound/sub", want: "hidden",
			why: "a folder's file shows where a mount on it isn't taken along"},
		{keys: "volumes[].bind.create_host_path volumes[].bind.selinux", of: "box", look: "{{json .HostConfig.Binds}}",
			want: `\["FOLDER/made/folder:/made:z"\]`, why: "only kernels with SELinux have its labels"},
	},
}

// shareTree makes a folder a shared mount, with a further mount below it, until the test ends.
func (k *stack) shareTree(name, below string) {
	k.t.Helper()
	tree := filepath.Join(k.dir, name)
	for _, args := range [][]string{{"--bind", tree, tree}, {"--make-shared", tree},
		{"-t", "tmpfs", "-o", "size=64k", "tmpfs", filepath.Join(tree, below)}} {
		if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
			k.t.Fatalf("mount %v: %v\n%s", args, err, out)
		}
	}
	k.t.Cleanup(func() {
		if out, err := exec.Command("umount", "-R", tree).CombinedOutput(); err != nil {
			k.t.Errorf("umount %s: %v\n%s", tree, err, out)
		}
	})
}
