package e2e

import (
	"strings"
)

// fileStack has configs, secrets, and a stack made of several files.
var fileStack = keyStack{
	name: "files",
	compose: `
name: given
include:
  - {path: [part/compose.yaml, part/more.yaml], env_file: part/own.env, project_directory: elsewhere}
services:
  box:
    extends: {file: common.yaml, service: base}
    image: debian:12-slim
    init: true
    healthcheck: {test: [CMD, "true"], interval: 60s}
    configs:
      - inline
      - {source: filed, target: /etc/filed.conf, uid: "11", gid: "22", mode: 0640}
      - {source: environ, target: relative.conf}
      - {source: kept, target: /kept}
      - {source: older, target: /older}
    secrets:
      - filed
      - {source: filed, target: other, uid: "33", gid: "44", mode: 0400}
      - {source: environ, target: /environ}
      - {source: kept, target: /keptsecret}
      - {source: older, target: /oldersecret}
  idle: {image: "debian:12-slim", profiles: [never]}
  chosen: {image: "debian:12-slim", command: sleep infinity, init: true, healthcheck: {test: [CMD, "true"], interval: 60s}, profiles: [wanted]}
configs:
  inline: {content: "inline of ${NAME}"}
  filed: {file: ./filed.conf}
  environ: {environment: CONFIG_TEXT}
  kept: {external: true, name: "${NAME}kept"}
  older: {external: {name: "${NAME}kept"}}
secrets:
  filed: {file: ./filed.secret}
  environ: {environment: SECRET_TEXT}
  kept: {external: true, name: "${NAME}kept"}
  older: {external: {name: "${NAME}kept"}}
`,
	files: map[string]string{
		"common.yaml": "services: {base: {image: other, command: sleep infinity, environment: {EXTENDED: 'yes'}}}\n",
		"part/compose.yaml": `services: {part: {image: "debian:12-slim", command: sleep infinity, init: true, ` +
			`healthcheck: {test: [CMD, "true"], interval: 60s}, environment: {INCLUDED: "${INCLUDED}"}, ` +
			`volumes: ["./here:/here:ro"]}}` +
			"\n",
		"part/more.yaml": "services: {part: {environment: {MORE: 'yes'}}}\n", "part/own.env": "INCLUDED=from its own\n",
		"elsewhere/here/file": "x", "filed.conf": "filed config\n", "filed.secret": "filed secret\n",
		"kept.txt": "kept by the server",
	},
	prepare: func(k *stack) {
		k.env = []string{"CONFIG_TEXT=config of the environment", "SECRET_TEXT=secret of the environment",
			"COMPOSE_PROFILES=wanted"}
		if r := k.s.rhumb(k.dir, "secret", "create", k.name+"kept", "kept.txt"); r.code != 0 {
			k.t.Fatal(r.out)
		}
		// The name in the file counts where -p isn't said.
		if r := k.s.rhumbEnv(k.dir, append(k.env, "NAME=x"), "config"); !strings.HasPrefix(r.out, "name: given\n") {
			k.t.Errorf("rhumb config: %s", r.out)
		}
	},
	shown: []shown{
		{keys: "/name", of: "box", look: "{{.Name}}", want: "/STACK-box.*",
			why: "rhumb config shows the name that the file gives; the test's stacks are named by -p"},
		{keys: "extends.service extends.file", of: "box", run: "echo $EXTENDED; cat /proc/1/comm", want: "yes\ndocker-init"},
		{keys: "/include[].path /include[].env_file /include[].project_directory", of: "part",
			run: "echo $INCLUDED $MORE; ls /here", want: "from its own yes\nfile"},
		{keys: "profiles", of: "chosen", run: "true", want: ""},
		{keys: "/configs.NAME.content", of: "box", run: "cat /inline; stat -c ' %u:%g %a' /inline",
			want: "inline of STACK 0:0 444"},
		{keys: "/configs.NAME.file configs[].source configs[].target configs[].uid configs[].gid configs[].mode", of: "box",
			run: "cat /etc/filed.conf; stat -c '%u:%g %a' /etc/filed.conf", want: "filed config\n11:22 640"},
		{keys: "/configs.NAME.environment", of: "box", run: "cat /relative.conf", want: "config of the environment"},
		{keys: "/configs.NAME.external /configs.NAME.name /configs.NAME.external.name", of: "box", run: "cat /kept /older",
			want: "kept by the serverkept by the server"},
		{keys: "/secrets.NAME.file secrets[].source secrets[].target secrets[].uid secrets[].gid secrets[].mode", of: "box",
			run:  "cat /run/secrets/filed /run/secrets/other; stat -c '%u:%g %a' /run/secrets/*",
			want: "filed secret\nfiled secret\n0:0 444\n33:44 400"},
		{keys: "/secrets.NAME.environment", of: "box", run: "cat /environ", want: "secret of the environment"},
		{keys: "/secrets.NAME.external /secrets.NAME.name /secrets.NAME.external.name", of: "box",
			run: "cat /keptsecret /oldersecret", want: "kept by the serverkept by the server"},
	},
}

// buildStack has images that are built.
var buildStack = keyStack{
	name: "builds",
	compose: `
services:
  box:
    init: true
    command: sleep infinity
    healthcheck: {test: [CMD, "true"], interval: 60s}
    build:
      context: ./site
      dockerfile: docker/box.df
      args: {WORD: "of ${NAME}"}
      target: wanted
      labels: {built: label}
      tags: ["${NAME}-further:1"]
      network: none
      extra_hosts: ["far.example:10.1.2.3"]
      no_cache: true
      pull: false
      platforms: [linux/amd64]
      privileged: false
      secrets: [{source: token, target: word}]
  inline:
    init: true
    use_api_socket: false
    command: sleep infinity
    healthcheck: {test: [CMD, "true"], interval: 60s}
    build:
      context: ./site
      no_cache_filter: [wanted]
      cache_from: ["${NAME}-further:1"]
      dockerfile_inline: |
        FROM debian:12-slim
        COPY word.txt /word.txt
secrets: {token: {environment: TOKEN}}
`,
	files: map[string]string{
		"site/word.txt": "from the context\n",
		"site/docker/box.df": `FROM debian:12-slim AS wanted
ARG WORD
COPY word.txt /
RUN --mount=type=secret,id=word wc -c </run/secrets/word >/size; echo "$WORD" >/arg; cat /etc/hosts >/hosts; ls /sys/class/net >/nets
FROM wanted
RUN touch /unwanted
`,
	},
	prepare: func(k *stack) {
		k.env = []string{"TOKEN=12345"}
	},
	shown: []shown{
		{keys: "build.context build.dockerfile", of: "box", run: "cat /word.txt", want: "from the context"},
		{keys: "build.args", of: "box", run: "cat /arg", want: "of STACK"},
		{keys: "build.target", of: "box", run: "ls /unwanted", want: ".*No such file or directory"},
		{keys: "build.labels build.tags", of: "box", look: `{{index .Config.Labels "built"}}`, want: "label"},
		{keys: "build.network", of: "box", run: "cat /nets", want: "lo"},
		{keys: "build.extra_hosts", of: "box", run: "cat /hosts", want: `(?s).*10\.1\.2\.3\s+far\.example.*`},
		{keys: "build.secrets[].source build.secrets[].target", of: "box", run: "cat /size", want: "5"},
		{keys: "build.no_cache build.pull build.platforms build.privileged=false", of: "box", run: "true", want: "",
			why: "that the image is there, and built of one that no registry has, is the proof"},
		{keys: "use_api_socket=false", of: "inline", run: "ls /var/run/docker.sock", want: ".*No such file or directory"},
		{keys: "build.dockerfile_inline build.no_cache_filter build.cache_from", of: "inline", run: "cat /word.txt",
			want: "from the context"},
	},
}
