package e2e

import (
	"fmt"
	"math/rand/v2"
	"os/exec"
)

// networkStack has networks and volumes with all that can be said of them.
var networkStack = keyStack{
	name: "networks and volumes",
	compose: `
x-box: &box {image: "debian:12-slim", command: sleep infinity, init: true, healthcheck: {test: [CMD, "true"], interval: 60s}}
services:
  box:
    <<: *box
    networks:
      first: {priority: 9, ipv4_address: "${NET4}.77", ipv6_address: "${NET6}::77", aliases: [www], link_local_ips: [169.254.9.9], driver_opts: {com.example.note: noted}, use_service_name_alias: true}
      inner: {priority: 1}
      outer: {}
      older: {}
    volumes: ["memory:/memory", "renamed:/renamed", "outer:/outer", "older:/older"]
  ranged: {<<: *box, networks: [first]}
  mac: {<<: *box, networks: {mine: {mac_address: "02:42:0a:00:00:55"}}}
  ownmac: {<<: *box, mac_address: "02:42:0a:00:00:56", networks: [mine, inner]}
networks:
  first:
    driver: bridge
    driver_opts: {com.docker.network.driver.mtu: "1400"}
    attachable: true
    enable_ipv6: true
    labels: {own: label}
    ipam:
      driver: default
      options: {com.example.option: kept}
      config:
        - {subnet: "${NET4}.0/24", ip_range: "${NET4}.64/26", gateway: "${NET4}.9", aux_addresses: {printer: "${NET4}.65"}}
        - {subnet: "${NET6}::/64"}
  inner: {internal: true, enable_ipv4: true, driver: overlay}
  mine: {name: "${NAME}_own"}
  outer: {external: true, name: "x${NAME}outer"}
  older: {external: {name: "x${NAME}older"}}
volumes:
  memory: {driver: local, driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m,mode=0700"}, labels: {own: label}}
  renamed: {name: "${NAME}_given"}
  outer: {external: true, name: "x${NAME}outer"}
  older: {external: {name: "x${NAME}older"}}
`,
	prepare: func(k *stack) {
		k.env = []string{fmt.Sprintf("NET4=10.%d.%d", 200+rand.IntN(50), rand.IntN(256)),
			fmt.Sprintf("NET6=fd42:%x:%x", rand.IntN(1<<16), rand.IntN(1<<16))}
		for _, kind := range []string{"network", "volume"} {
			for _, name := range []string{"x" + k.name + "outer", "x" + k.name + "older"} {
				docker(k.t, kind, "create", name)
				k.t.Cleanup(func() { _ = exec.Command("docker", kind, "rm", name).Run() })
			}
		}
		// The stack has to be down before them, and what was made last ends first.
		k.t.Cleanup(k.remove)
	},
	shown: []shown{
		{keys: "networks.NAME.priority networks.NAME.ipv4_address", of: "box",
			look: `{{(index .NetworkSettings.Networks "STACK_first").IPAddress}} {{.HostConfig.NetworkMode}}`,
			want: `10\.\d+\.\d+\.77 STACK_first`},
		{keys: "networks.NAME.ipv4_address networks.NAME.link_local_ips", of: "box",
			run:  `awk '/32 host/{print f} {f=$2}' /proc/net/fib_trie | sort -u | grep -E '^(10\..*\.77|169)'`,
			want: `10\.\d+\.\d+\.77\n169\.254\.9\.9`},
		{keys: "networks.NAME.ipv6_address /networks.NAME.enable_ipv6", of: "box",
			run: "cut -c1-4,29-32 /proc/net/if_inet6 | sort -u", want: `(?s).*fd420077.*`},
		{keys: "networks.NAME.aliases networks.NAME.use_service_name_alias", of: "ranged",
			run: `getent ahostsv4 www box | cut -d' ' -f1 | sort -u`, want: `10\.[0-9.]+`},
		{keys: "networks.NAME.driver_opts", of: "box",
			look: `{{json (index .NetworkSettings.Networks "STACK_first").DriverOpts}}`, want: `{"com.example.note":"noted"}`,
			why: "no driver of this engine has options that show inside"},
		{keys: "networks.NAME.mac_address", of: "mac", run: "cat /sys/class/net/eth0/address", want: "02:42:0a:00:00:55"},
		{keys: "mac_address", of: "ownmac", run: "cat /sys/class/net/eth*/address | grep -c 0a:00:00:56", want: "1"},
		{keys: "/networks.NAME.driver_opts", of: "ranged", run: "cat /sys/class/net/eth0/mtu", want: "1400"},
		{keys: "/networks.NAME.ipam.config[].subnet /networks.NAME.ipam.config[].gateway", of: "ranged",
			run: `awk '$2=="00000000"{print $3}' /proc/net/route`, want: `09[0-9A-F]{4}0A`},
		{keys: "/networks.NAME.ipam.config[].ip_range", of: "ranged",
			look: `{{(index .NetworkSettings.Networks "STACK_first").IPAddress}}`,
			want: `10\.\d+\.\d+\.(6[4-9]|[789]\d|1[01]\d|12[0-7])`},
		{keys: "/networks.NAME.ipam.config[].aux_addresses /networks.NAME.ipam.driver /networks.NAME.ipam.options",
			of: "network first", look: "{{json .IPAM}}",
			want: `{"Driver":"default","Options":{"com.example.option":"kept"},` +
				`"Config":\[{"Subnet":.*"AuxiliaryAddresses":{"printer":"10\.\d+\.\d+\.65"}}.*`, why: "they are records"},
		{keys: "/networks.NAME.driver /networks.NAME.attachable /networks.NAME.labels", of: "network first",
			look: `{{.Driver}} {{.Attachable}} {{.Labels.own}}`, want: "bridge true label", why: "they are records"},
		{keys: "/networks.NAME.internal /networks.NAME.enable_ipv4 /networks.NAME.driver=overlay", of: "network inner",
			look: "{{.Internal}} {{len .Containers}} {{.Driver}}", want: "true 2 bridge"},
		{keys: "/networks.NAME.name", of: "network own", look: "{{len .Containers}}", want: "2"},
		{keys: "/networks.NAME.external /networks.NAME.external.name", of: "box",
			look: "{{range $name, $n := .NetworkSettings.Networks}}{{$name}} {{end}}",
			want: "STACK_first STACK_inner xSTACKolder xSTACKouter"},
		{keys: "/volumes.NAME.driver /volumes.NAME.driver_opts", of: "box", run: "grep ' /memory ' /proc/mounts",
			want: `tmpfs /memory tmpfs rw,\S*size=1024k,mode=700\S* 0 0`},
		{keys: "/volumes.NAME.labels", of: "volume memory", look: "{{.Labels.own}} {{.Driver}}", want: "label local",
			why: "labels are the engine's"},
		{keys: "/volumes.NAME.name", of: "volume given", look: "{{.Name}}", want: "STACK_given"},
		{keys: "/volumes.NAME.external /volumes.NAME.external.name", of: "box", look: `{{range .Mounts}}{{.Name}} {{end}}`,
			want: `(?s).*xSTACKouter.*xSTACKolder.*|.*xSTACKolder.*xSTACKouter.*`},
	},
}
