package e2e

// hookStack has hooks that print where and as which user they run.
var hookStack = keyStack{
	name: "hooks",
	compose: `
services:
  box:
    image: debian:12-slim
    command: sleep infinity
    init: true
    healthcheck: {test: [CMD, "true"], interval: 60s}
    tmpfs: "/seen:mode=1777"
    volumes: ["left:/left"]
    environment: {LATER: "${LATER:-}"}
    pre_start:
      - {command: [sh, -c, "echo each >>/left/each"], per_replica: true}
    post_start:
      - {command: [sh, -c, "echo $$(id -u) $$(pwd) $$WORD >/seen/start"], user: "1234", working_dir: /srv, environment: {WORD: started}}
    pre_stop:
      - {command: [sh, -c, "echo $$(id -u) $$(pwd) $$WORD >/left/stop"], user: "0", working_dir: /mnt, environment: {WORD: stopped}}
volumes: {left: {}}
`,
	prepare: func(k *stack) {
		k.must(0, "deploy")
		k.env = []string{"LATER=yes"}
	},
	shown: []shown{
		{keys: "pre_start[].per_replica", of: "box", run: "cat /left/each", want: "each\neach"},
		{keys: "post_start[].command post_start[].user post_start[].working_dir post_start[].environment", of: "box",
			run: "cat /seen/start", want: "1234 /srv started"},
		{keys: "pre_stop[].command pre_stop[].user pre_stop[].working_dir pre_stop[].environment", of: "box",
			run: "cat /left/stop", want: "0 /mnt stopped"},
	},
}
