package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"rhumb"
)

// newerStack shows keys that only newer engines have. On an older one the deployment and its plan are refused.
type newerStack struct {
	keyStack
	api    string // the oldest version of the API that has them
	refuse string // what older engines are said to be too old for
}

const newerBox = `
x-box: &box {image: "debian:12-slim", command: sleep infinity, init: true, healthcheck: {test: [CMD, "true"], interval: 60s}}
services:
  box:
    <<: *box
`

var newerStacks = []newerStack{
	{api: "1.43", refuse: "annotations needs Docker Engine 24", keyStack: keyStack{name: "annotations",
		compose: newerBox + "    annotations: {com.example.note: noted}\n",
		shown: []shown{{keys: "annotations", of: "box", look: "{{json .HostConfig.Annotations}}",
			want: `{"com.example.note":"noted"}`,
			why:  "annotations are the runtime's"}}}},
	{api: "1.56", refuse: "umask needs Docker Engine 29.8", keyStack: keyStack{name: "umask",
		compose: newerBox + "    umask: 0027\n",
		shown:   []shown{{keys: "umask", of: "box", run: "grep Umask /proc/1/status", want: `Umask:\s0027`}}}},
	{api: "1.48", refuse: "gw_priority needs Docker Engine 28", keyStack: keyStack{name: "networks of newer engines",
		compose: newerBox + `    networks:
      default: {priority: 9, interface_name: first0}
      way: {gw_priority: 5, interface_name: way0, mac_address: "02:42:0a:00:00:57"}
networks: {way: {}}
`,
		shown: []shown{
			{keys: "networks.NAME.interface_name", of: "box", run: "ls -d /sys/class/net/*0",
				want: "/sys/class/net/first0\n/sys/class/net/way0"},
			{keys: "networks.NAME.gw_priority", of: "box", run: `awk '$2=="00000000"{print $1}' /proc/net/route`, want: "way0"},
			{keys: "networks.NAME.mac_address", of: "box", run: "cat /sys/class/net/way0/address", want: "02:42:0a:00:00:57"},
		}}},
	{api: "1.44", refuse: "mac_address of a further network needs Docker Engine 25",
		keyStack: keyStack{name: "several MAC addresses",
			compose: newerBox + `    networks:
      default: {priority: 9, mac_address: "02:42:0a:00:00:58"}
      way: {mac_address: "02:42:0a:00:00:59"}
networks: {way: {}}
`,
			shown: []shown{{keys: "networks.NAME.mac_address", of: "box", run: "cat /sys/class/net/eth*/address | sort",
				want: "02:42:0a:00:00:58\n02:42:0a:00:00:59"}}}},
	{api: "1.48", refuse: "a volume of type image needs Docker Engine 28", keyStack: keyStack{name: "images as volumes",
		compose: newerBox + `    volumes:
      - {type: image, source: "rhumb-test/app:1", target: /tools}
      - {type: image, source: "debian:12-slim", target: /debian, image: {subpath: etc}}
`,
		shown: []shown{
			{keys: "volumes[].type=image", of: "box", run: "ls /tools/app", want: "/tools/app"},
			{keys: "volumes[].image volumes[].image.subpath", of: "box", run: "ls /debian/debian_version",
				want: "/debian/debian_version"},
		}}},
	{api: "1.44", refuse: "a bind mount with recursive: readonly needs Docker Engine 25",
		keyStack: keyStack{name: "recursive read-only",
			compose: newerBox + "    volumes: [{type: bind, source: ./tree, target: /bound, " +
				"read_only: true, bind: {recursive: readonly}}]\n",
			files:   map[string]string{"tree/sub/hidden": "a file below a mount"},
			prepare: func(k *stack) { k.shareTree("tree", "sub") },
			shown: []shown{{keys: "volumes[].bind.recursive=readonly", of: "box", run: "touch /bound/sub/x",
				want: ".*Read-only file system"}}}},
	{api: "1.45", refuse: "a volume's subpath needs Docker Engine 26", keyStack: keyStack{name: "a volume's subpath",
		compose: newerBox + `    volumes: [{type: volume, source: data, target: /v, volume: {subpath: inner}}]
volumes: {data: {external: true, name: "x${NAME}data"}}
`,
		prepare: func(k *stack) {
			volume := "x" + k.name + "data"
			docker(k.t, "run", "--rm", "--network", "none", "-v", volume+":/v", "debian:12-slim", "sh", "-c",
				"mkdir /v/inner; touch /v/inner/here")
			k.t.Cleanup(func() { _ = exec.Command("docker", "volume", "rm", volume).Run() })
			k.t.Cleanup(k.remove) // before the volume: what was made last ends first
		},
		shown: []shown{{keys: "volumes[].volume.subpath", of: "box", run: "ls /v", want: "here"}}}},
	{api: "1.44", refuse: "a CDI device needs Docker Engine 25", keyStack: keyStack{name: "CDI devices",
		compose: newerBox + "    devices: [rhumb.test/note=one]\n",
		prepare: describeDevice,
		shown:   []shown{{keys: "devices", of: "box", run: `tr '\0' '\n' </proc/1/environ | grep NOTE`, want: "NOTE=seen"}}}},
	{api: "1.42", refuse: "build.ulimits needs Docker Engine 23", keyStack: keyStack{name: "limits of builds",
		compose: `
services:
  box:
    command: sleep infinity
    init: true
    build:
      context: ./site
      ulimits: {nofile: {soft: 321, hard: 400}}
      shm_size: 32m
      dockerfile_inline: |
        FROM debian:12-slim
        RUN ulimit -n >/limits; ulimit -Hn >>/limits; df -k /dev/shm | tail -n 1 | awk '{print $2}' >/shm
`,
		files: map[string]string{"site/x": "x"},
		shown: []shown{
			{keys: "build.ulimits build.ulimits.NAME.soft build.ulimits.NAME.hard", of: "box", run: "cat /limits",
				want: "321\n400"},
			{keys: "build.shm_size", of: "box", run: "cat /shm", want: "32768"},
		}}},
}

// describeDevice describes a CDI device to engines until the test ends.
func describeDevice(k *stack) {
	const folder, file = "/var/run/cdi", "/var/run/cdi/rhumb-test.json"
	k.t.Cleanup(func() { _ = os.Remove(file) })
	text := `{"cdiVersion": "0.6.0", "kind": "rhumb.test/note", "devices": ` +
		`[{"name": "one", "containerEdits": {"env": ["NOTE=seen"]}}]}`
	if err := os.MkdirAll(folder, 0o755); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		k.t.Fatal(err)
	}
}

func (n newerStack) run(t *testing.T, s *server) {
	version := strings.TrimSpace(docker(t, "version", "--format", "{{.Server.APIVersion}}"))
	if (rhumb.EngineInfo{APIVersion: version}).Speaks(n.api) {
		n.keyStack.run(t, s)
		return
	}
	k := newStack(t, s, n.compose)
	for name, content := range n.files {
		k.write(name, content)
	}
	for _, verb := range []string{"plan", "deploy"} {
		if r := k.rhumb(verb); r.code == 0 || !strings.Contains(r.out, n.refuse) {
			t.Errorf("%s on an engine of API %s exits with %d: %s", verb, version, r.code, r.out)
		}
	}
	if left := k.containers(); len(left) > 0 {
		t.Errorf("containers: %v", left)
	}
}
