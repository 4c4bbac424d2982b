package e2e

import (
	"syscall"
	"testing"
	"time"

	"rhumb"
)

// What a release, a scaling, a restart or a rollback begins.
var releaseFaults = []whyCase{
	{name: "a release with many errors", want: kinds(rhumb.HappenedRelease), service: "web", compose: webAlone,
		fault: deploy(0, "V=2", "FAIL=0.4")},
	{name: "a release with some errors", want: kinds(rhumb.HappenedRelease), service: "web", compose: webTwice,
		rate: 10, fault: deploy(0, "V=2", "FAIL=0.1")},
	{name: "a slow release", want: kinds(rhumb.HappenedRelease), service: "web", compose: webAlone,
		fault: deploy(0, "V=2", "DELAY=500ms")},
	{name: "a release that is somewhat slow", want: kinds(rhumb.HappenedRelease), service: "web", compose: webTwice,
		fault: deploy(0, "V=2", "DELAY=80ms")},
	{name: "a release that crashes after a while", want: kinds(rhumb.HappenedRelease), service: "web",
		compose: webAlone, fault: deploy(0, "V=2", "EXIT=25s")},
	{name: "a release that is never ready", want: kinds(rhumb.HappenedRelease), service: "web",
		compose: stackOf(webOf("{replicas: 1}"), serviceOf("db", echoing)),
		fault:   deploy(3, "V=2", "HEALTH=bad")},
	{name: "a release that crashes at its start", want: kinds(rhumb.HappenedRelease), service: "web",
		compose: webTwice, fault: deploy(3, "V=2", "EXIT=200ms")},
	{name: "a changed env_file", want: kinds(rhumb.HappenedRelease), service: "web",
		compose: stackOf(serviceOf("web", `env_file: app.env`,
			`ports: [{target: 8000, published: "${PORT}", app_protocol: http}]`,
			`x-rhumb: {ready: {http: /health, port: 8000}, drain: 1s}`, `deploy: {update_config: {monitor: 5s}}`)),
		before: func(k *trial) { k.write("app.env", "RELEASE=1\n") },
		fault: func(k *trial) {
			k.write("app.env", "RELEASE=1\nFAIL=0.3\n")
			k.change(0, "deploy")
		}},
	{name: "a config that breaks the check", want: kinds(rhumb.HappenedRelease), service: "web", compose: webAlone,
		fault: func(k *trial) {
			k.write("app.conf", "broken")
			k.compose(stackOf(webOf("{replicas: 1}", "configs: [{source: app, target: /sick}]")) +
				"configs: {app: {file: ./app.conf}}\n")
			k.change(3, "deploy")
		}},
	{name: "a wrong address of the database", want: kinds(rhumb.HappenedRelease), compose: webAndDB, path: "/db",
		fault: deploy(0, "V=2", "DB=db:9999")},
	{name: "a release that leaks", want: kinds(rhumb.HappenedRelease), service: "web",
		compose: limited(1, "memory: 320M"), fault: deploy(0, "V=2", "LEAK=1"), after: 6 * time.Minute},
	{name: "a release that needs too much CPU", want: kinds(rhumb.HappenedRelease), service: "web",
		compose: limited(1, `cpus: "0.1"`), fault: deploy(0, "V=2", "BURN=1")},
	{name: "a rollback to a bad release", want: kinds(rhumb.HappenedRollback), compose: webAlone,
		env: []string{"FAIL=0.3"}, prepare: deploy(0, "V=2"), fault: func(k *trial) { k.change(0, "rollback") }},
	{name: "a rollback to a slow release", want: kinds(rhumb.HappenedRollback), compose: webTwice,
		env: []string{"DELAY=400ms"}, prepare: deploy(0, "V=2"), fault: func(k *trial) { k.change(0, "rollback") }},
	{name: "too few replicas", want: kinds(rhumb.HappenedScale), service: "web",
		compose: limited(4, `cpus: "0.1"`), env: []string{"WORK=5ms"}, rate: 30,
		fault: func(k *trial) { k.change(0, "scale", "web=1") }},
	{name: "a restart with a cold cache", want: kinds(rhumb.HappenedRestart), compose: webAlone,
		fault: both(func(k *trial) { k.change(0, "restart") }, set("web", "delay=400ms"))},
	{name: "a restart after which requests fail", want: kinds(rhumb.HappenedRestart), compose: webAlone,
		fault: both(func(k *trial) { k.change(0, "restart", "web") }, set("web", "fail=0.3"))},
}

// What begins in replicas.
var replicaFaults = []whyCase{
	{name: "a replica that is killed", want: kinds(rhumb.HappenedCrash), service: "web", compose: webAlone,
		fault: func(k *trial) { docker(k.t, "kill", k.replicas("web")[0]) }},
	{name: "a crash", want: kinds(rhumb.HappenedCrash), service: "web", compose: webAlone,
		fault: func(k *trial) { k.ask("web", "/crash") }},
	{name: "a crash loop", want: kinds(rhumb.HappenedCrash), service: "web", compose: webAlone,
		fault: crashes("web")},
	{name: "a crash loop of both replicas", want: kinds(rhumb.HappenedCrash), service: "web", compose: webTwice,
		fault: crashes("web")},
	{name: "a crash loop of a worker", want: kinds(rhumb.HappenedCrash), service: "worker",
		compose: stackOf(webOf("{replicas: 1}"), serviceOf("worker")), fault: crashes("worker")},
	{name: "a failing check", want: kinds(rhumb.HappenedUnhealthy), service: "web",
		compose: stackOf(webOf("{replicas: 1}", checked)), fault: sicken("web", 1)},
	{name: "a failing check of one of two", want: kinds(rhumb.HappenedUnhealthy), service: "web",
		compose: stackOf(webOf("{replicas: 2}", checked)), fault: sicken("web", 1)},
	{name: "a leak up to the kill", want: kinds(rhumb.HappenedMemory, rhumb.HappenedOOM), service: "web",
		compose: limited(1, "memory: 320M"), fault: set("web", "leak=1"), after: 6 * time.Minute},
	{name: "memory near its limit", want: kinds(rhumb.HappenedMemory), service: "web",
		compose: limited(1, "memory: 300M"), after: 6 * time.Minute, fault: func(k *trial) {
			set("web", "leak=1")(k)
			pause(k.t, 265*time.Second)
			set("web", "leak=0")(k)
		}},
	{name: "an OOM kill", want: kinds(rhumb.HappenedOOM), service: "web", compose: limited(1, "memory: 64M"),
		fault: set("web", "hold=100")},
	{name: "an OOM kill of a worker", want: kinds(rhumb.HappenedOOM), service: "worker",
		compose: stackOf(webOf("{replicas: 1}"), serviceOf("worker", "mem_limit: 64M")),
		fault:   set("worker", "hold=100")},
	{name: "a replica that reaches its limit of CPU", want: kinds(rhumb.HappenedThrottled), service: "web",
		compose: limited(1, `cpus: "0.1"`), fault: set("web", "burn=1")},
	{name: "replicas that reach their limit of CPU", want: kinds(rhumb.HappenedThrottled), service: "web",
		compose: limited(2, `cpus: "0.15"`), fault: set("web", "burn=0.5")},
	{name: "a service that writes new errors", want: kinds(rhumb.HappenedLog), service: "web", compose: webAlone,
		fault: writes("web", "error: can't parse order 1234: field total is missing", 5*time.Second)},
	{name: "a worker that writes new errors", want: kinds(rhumb.HappenedLog), service: "worker",
		compose: stackOf(webOf("{replicas: 1}"), serviceOf("worker")),
		fault:   writes("worker", "ERROR job 55 failed: unexpected end of JSON input", 4*time.Second)},
	{name: "slowness without a reason", want: kinds(rhumb.HappenedUnknown), service: "web", compose: webAlone,
		calm: longCalm, fault: set("web", "delay=300ms")},
}

// What begins at others.
var dependencyFaults = []whyCase{
	{name: "a slow database", want: kinds(rhumb.HappenedDependency), service: "db", compose: webAndDB, path: "/db",
		fault: set("db", "stall=700ms")},
	{name: "a database that is too slow", want: kinds(rhumb.HappenedDependency), service: "db", compose: webAndDB,
		path: "/db", fault: set("db", "stall=3s")},
	{name: "a database that hangs", want: kinds(rhumb.HappenedDependency, rhumb.HappenedUnhealthy), service: "db",
		compose: webAndDB, path: "/db", fault: func(k *trial) {
			name := k.replicas("db")[0]
			docker(k.t, "pause", name)
			k.t.Cleanup(func() { _, _ = dockerOutput("unpause", name) })
		}},
	{name: "a database that crashes", want: kinds(rhumb.HappenedCrash, rhumb.HappenedDependency), service: "db",
		compose: webAndDB, path: "/db", fault: crashes("db")},
	{name: "a database without CPU", want: kinds(rhumb.HappenedThrottled, rhumb.HappenedDependency), service: "db",
		compose: stackOf(webOf("{replicas: 1}"), serviceOf("db", echoing, "cpus: 0.05")), path: "/db",
		fault: set("db", "burn=1")},
	{name: "a remote service that refuses", want: kinds(rhumb.HappenedDependency), path: "/db", before: callsRemote,
		compose: stackOf(webOf("{replicas: 1}", `extra_hosts: ["payments.example.com:host-gateway"]`)),
		fault:   func(k *trial) { _ = k.remote.Close() }},
	{name: "a remote service that doesn't answer", want: kinds(rhumb.HappenedDependency), path: "/db",
		before: callsRemote, compose: stackOf(webOf("{replicas: 1}", `extra_hosts: ["payments.example.com:host-gateway"]`)),
		fault: func(k *trial) { k.remote.delay.Store(int64(3 * time.Second)) }},
	{name: "more traffic", want: kinds(rhumb.HappenedTraffic), service: "web", compose: limited(1, `cpus: "0.1"`),
		env: []string{"WORK=5ms"}, fault: func(k *trial) { k.visitors.change(40) }},
	{name: "much more traffic", want: kinds(rhumb.HappenedTraffic), service: "web",
		compose: limited(2, `cpus: "0.05"`), env: []string{"WORK=2ms"}, fault: func(k *trial) { k.visitors.change(80) }},
	{name: "no more traffic", want: kinds(rhumb.HappenedTraffic), service: "web", compose: webAlone,
		fault: func(k *trial) { k.visitors.change(0) }},
	{name: "hardly any traffic", want: kinds(rhumb.HappenedTraffic), service: "web", compose: webTwice, rate: 10,
		fault: func(k *trial) { k.visitors.change(0.3) }},
}

const overTLS = `
services:
  web:
    image: rhumb-test/app:1
    x-rhumb:
      routes: [{host: shop.example.com, port: 8000}]
      tls: {cert: shop.crt, key: shop.key}
      ready: {http: /health, port: 8000}
`

// What begins in rhumb's own parts, with a server of their own.
var partFaults = []whyCase{
	{name: "a full disk", want: kinds(rhumb.HappenedDisk), compose: webAlone, server: smallServer,
		fault: func(k *trial) { k.s.leave(42) }},
	{name: "a full volume", want: kinds(rhumb.HappenedDisk), compose: webAlone,
		fault: both(set("web", "fail=0.3"),
			writes("web", "error: write /data/orders.log: no space left on device", 5*time.Second))},
	{name: "a proxy that is killed", want: kinds(rhumb.HappenedProxy), compose: webAlone, server: aServer, rate: 20,
		env:   []string{"DELAY=300ms"},
		fault: func(k *trial) { _ = syscall.Kill(k.s.process("proxy"), syscall.SIGKILL) }},
	{name: "an expired certificate", want: kinds(rhumb.HappenedCertificate), compose: overTLS, server: tlsServer,
		before: withPair(calm + 2*time.Minute), after: 6 * time.Minute},
	{name: "a certificate that clients don't trust", want: kinds(rhumb.HappenedCertificate, rhumb.HappenedRelease),
		compose: overTLS, server: tlsServer, before: withPair(time.Hour * 24 * 30),
		fault: both(withPair(time.Hour*24*31), deploy(0))},
}

// What begins at the machine: afterwards, alone.
var machineFaults = []whyCase{
	{name: "a busy machine", want: kinds(rhumb.HappenedHostCPU), compose: webAlone, env: []string{"WORK=60ms"},
		fault: hog(aftermath)},
	{name: "a busy machine, seen by another stack", want: kinds(rhumb.HappenedHostCPU), compose: webTwice,
		env: []string{"WORK=40ms"}},
}

// Times in which nothing gets worse.
var quietTimes = []whyCase{
	{name: "quiet: nothing", compose: webAlone},
	{name: "quiet: nothing, with a database", compose: webAndDB, path: "/db"},
	{name: "quiet: a good release", compose: webAlone, fault: deploy(0, "V=2")},
	{name: "quiet: a good release of two replicas", compose: webTwice, rate: 10, fault: deploy(0, "V=2")},
	{name: "quiet: three good releases", compose: webAlone,
		fault: both(deploy(0, "V=2"), deploy(0, "V=3"), deploy(0, "V=4"))},
	{name: "quiet: more replicas", compose: webAlone, fault: func(k *trial) { k.change(0, "scale", "web=3") }},
	{name: "quiet: fewer replicas", compose: webTwice, fault: func(k *trial) { k.change(0, "scale", "web=1") }},
	{name: "quiet: a clean restart", compose: webTwice, fault: func(k *trial) { k.change(0, "restart") }},
	{name: "quiet: a good rollback", compose: webAlone, prepare: deploy(0, "V=2"),
		fault: func(k *trial) { k.change(0, "rollback") }},
	{name: "quiet: somewhat more traffic", compose: webAlone, fault: func(k *trial) { k.visitors.change(7) }},
	{name: "quiet: much more traffic that is served", compose: webTwice,
		fault: func(k *trial) { k.visitors.change(20) }},
	{name: "quiet: a few new lines", compose: webAlone,
		fault: writes("web", "error: the mailbox of user 17 is full", 70*time.Second)},
}

func aServer(t *testing.T) *server { return measuredServer(t) }
