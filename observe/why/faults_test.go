package why_test

import (
	"time"

	"rhumb"
)

// fault is one kind of trouble that the simulator can produce.
type fault struct {
	name    string
	want    []rhumb.HappeningKind // any of these is right
	service string                // "": of no matter which
	begin   func(w *world, v int) // v: the variant, from 0
}

// during returns a knob that is turned between two times.
func during(from, to time.Time, turn func(w *world, at time.Time)) knob {
	return func(w *world, at time.Time) {
		if !at.Before(from) && at.Before(to) {
			turn(w, at)
		}
	}
}

func (w *world) since(turn func(w *world, at time.Time)) {
	w.knobs = append(w.knobs, during(w.at, until.Add(time.Hour), turn))
}

func (w *world) briefly(d time.Duration, turn func(w *world, at time.Time)) {
	w.knobs = append(w.knobs, during(w.at, w.at.Add(d), turn))
}

// lag returns a time a while after the fault.
func (w *world) lag(d time.Duration) time.Time { return w.at.Add(d) }

// repeat writes a line every so often from a time on.
func (w *world) repeat(from time.Time, every time.Duration, service, format string, args ...any) {
	for at := from; at.Before(until); at = at.Add(every) {
		w.say(at, service, format, args...)
	}
}

func kinds(k ...rhumb.HappeningKind) []rhumb.HappeningKind { return k }

func magnitude(v int) float64 { return []float64{1, 0.5, 2}[v%3] }

var releaseFaults = []fault{
	{"a release with errors", kinds(rhumb.HappenedRelease), "web", func(w *world, v int) {
		at := w.deploy(w.at, rhumb.CauseDeploy, 41, 42, " (image of web: web:9 -> web:10)", "web")
		w.knobs = append(w.knobs, during(at, until.Add(1), func(w *world, _ time.Time) {
			w.app("web").errors, w.app("web").oldGood = 0.12*magnitude(v), true
		}))
		w.repeat(at.Add(2*time.Second), 4*time.Second, "web", "ERROR undefined is not a function at checkout.js:%d", 42)
	}},
	{"a slow release", kinds(rhumb.HappenedRelease), "api", func(w *world, v int) {
		at := w.deploy(w.at, rhumb.CauseDeploy, 41, 42, "", "api")
		w.knobs = append(w.knobs, during(at, until.Add(1), func(w *world, _ time.Time) {
			w.app("api").latency *= 3 + 4*magnitude(v)
			w.app("api").oldGood = true
		}))
	}},
	{"a changed environment", kinds(rhumb.HappenedRelease), "api", func(w *world, v int) {
		at := w.deploy(w.at, rhumb.CauseDeploy, 41, 42, " (environment DB_POOL of api)", "api")
		w.knobs = append(w.knobs, during(at.Add(time.Minute), until.Add(1), func(w *world, _ time.Time) {
			w.app("api").errors, w.app("web").errors = 0.2*magnitude(v), 0.1*magnitude(v)
			w.app("api").latency *= 4
		}))
		w.repeat(at.Add(time.Minute), 5*time.Second, "api",
			"ERROR pool exhausted: timed out waiting for a connection to db:5432")
	}},
	{"a release that crashes and is put back", kinds(rhumb.HappenedRelease), "web", func(w *world, v int) {
		w.nextID++
		of := rhumb.Event{Kind: rhumb.EventDeployment, Stack: "shop", Release: 42, Deployment: w.nextID, By: "anna"}
		e := of
		e.Phase, e.Text = rhumb.PhaseRolling, "deploy: release 41 to release 42"
		w.event(w.at, e)
		for i := range 1 + v {
			w.failing = w.nextID
			w.fail(w.at.Add(time.Duration(10+20*i)*time.Second), "web", 42, rhumb.Failure{Ended: true, ExitCode: 1,
				Reason: "exited with 1 before it was ready", Logs: []string{"Error: Cannot find module 'x'"}})
			w.failing = 0
		}
		e.Phase, e.Text = rhumb.PhaseRollingBack, "web exited with 1 before it was ready"
		w.event(w.at.Add(70*time.Second), e)
		e.Phase, e.Text = rhumb.PhaseRolledBack, "failed and put back: shop@41 serves; web exited with 1 before it was ready"
		w.event(w.at.Add(90*time.Second), e)
	}},
	{"a crash loop after a release", kinds(rhumb.HappenedRelease), "worker", func(w *world, v int) {
		at := w.deploy(w.at, rhumb.CauseDeploy, 41, 42, "", "worker")
		for i := range 8 {
			w.fail(at.Add(time.Duration(40+70*i+10*v)*time.Second), "worker", 42, rhumb.Failure{Ended: true, ExitCode: 2,
				Reason: "exited with 2"})
		}
		w.event(at.Add(3*time.Minute), rhumb.Event{Kind: rhumb.EventBackoff, Stack: "shop", Service: "worker", Release: 42,
			Text: "crashed 3 times in a row; started again in 8s"})
		w.knobs = append(w.knobs, during(at.Add(40*time.Second), until.Add(1), func(w *world, now time.Time) {
			w.app("worker").lacks = 1
			if now.Sub(at).Truncate(tick)%(75*time.Second) == 0 {
				w.app("worker").restarts = 1
			}
		}))
		w.repeat(at.Add(35*time.Second), 20*time.Second, "worker", "panic: assignment to entry in nil map")
	}},
	{"a leak of a release", kinds(rhumb.HappenedRelease), "api", func(w *world, v int) {
		at := w.deploy(w.at.Add(-8*time.Minute), rhumb.CauseDeploy, 41, 42, "", "api")
		w.knobs = append(w.knobs, during(at, until.Add(1), func(w *world, now time.Time) {
			grown := 150e6 + 18e6*magnitude(v%2)*now.Sub(at).Minutes()
			w.app("api").memory = min(grown, 500e6)
		}))
		if v > 0 {
			w.fail(at.Add(39*time.Minute), "api", 42, rhumb.Failure{OOM: true, Ended: true, ExitCode: 137,
				Reason: "exited with 137: out of memory"})
		}
	}},
	{"a rollback to a bad release", kinds(rhumb.HappenedRollback), "web", func(w *world, v int) {
		at := w.deploy(w.at, rhumb.CauseRollback, 41, 39, "", "web")
		w.knobs = append(w.knobs, during(at, until.Add(1), func(w *world, _ time.Time) {
			w.app("web").errors = 0.15 * magnitude(v)
		}))
	}},
	{"too few replicas", kinds(rhumb.HappenedScale), "web", func(w *world, v int) {
		at := w.deploy(w.at, rhumb.CauseScale, 41, 42, "", "web")
		w.app("web").replicas = 4
		w.knobs = append(w.knobs, during(at, until.Add(1), func(w *world, _ time.Time) {
			web := w.app("web")
			web.replicas, web.release, web.cpu = 1, 41, 0.5
			web.throttle, web.latency = 0.5, web.latency*(4+2*magnitude(v))
		}))
	}},
	{"a restart with a cold cache", kinds(rhumb.HappenedRestart), "api", func(w *world, v int) {
		at := w.deploy(w.at, rhumb.CauseRestart, 41, 42, "", "api")
		w.knobs = append(w.knobs, during(at, at.Add(time.Duration(6+5*v)*time.Minute), func(w *world, now time.Time) {
			w.app("api").latency *= 6
			if now.Before(at.Add(time.Minute)) {
				w.app("api").unserved = 6
			}
		}))
	}},
}

var replicaFaults = []fault{
	{"a crash", kinds(rhumb.HappenedCrash), "web", func(w *world, v int) {
		w.fail(w.at, "web", 41, rhumb.Failure{Ended: true, ExitCode: 139, Reason: "exited with 139"})
		w.briefly(time.Minute, func(w *world, at time.Time) {
			w.app("web").unserved, w.app("web").cut, w.app("web").errors = 20*magnitude(v), 5, 0.2
		})
		w.briefly(tick, func(w *world, _ time.Time) { w.app("web").restarts = 1 })
	}},
	{"a crash loop", kinds(rhumb.HappenedCrash), "worker", func(w *world, v int) {
		for i := range 6 {
			w.fail(w.at.Add(time.Duration(i*(40+20*v))*time.Second), "worker", 41, rhumb.Failure{Ended: true, ExitCode: 1,
				Reason: "exited with 1"})
		}
		w.since(func(w *world, _ time.Time) { w.app("worker").lacks = 1 })
		w.repeat(w.at.Add(-2*time.Second), 40*time.Second, "worker", "FATAL invalid message in the queue: offset %d", 88)
	}},
	{"an OOM kill", kinds(rhumb.HappenedOOM), "api", func(w *world, v int) {
		w.fail(w.at, "api", 41, rhumb.Failure{OOM: true, Ended: true, ExitCode: 137,
			Reason: "exited with 137: out of memory"})
		w.briefly(time.Minute, func(w *world, _ time.Time) {
			w.app("api").unserved, w.app("api").errors = 10*magnitude(v), 0.3
		})
		if v == 1 {
			w.briefly(tick, func(w *world, _ time.Time) { w.app("api").kills, w.app("api").restarts = 1, 1 })
		}
	}},
	{"an OOM kill that costs no request", kinds(rhumb.HappenedOOM), "worker", func(w *world, _ int) {
		w.deploy(w.at.Add(-8*time.Minute), rhumb.CauseDeploy, 40, 41, "", "worker")
		w.fail(w.at, "worker", 41, rhumb.Failure{OOM: true, Ended: true, ExitCode: 137,
			Reason: "exited with 137: out of memory"})
	}},
	{"growing memory", kinds(rhumb.HappenedMemory), "api", func(w *world, v int) {
		w.at = since.Add(4 * time.Minute)
		speed := 330e6 / (28 + 10*magnitude(v)) // bytes a minute
		w.since(func(w *world, now time.Time) {
			w.app("api").memory = min(180e6+speed*now.Sub(w.at).Minutes(), 505e6)
		})
		if v > 0 {
			w.fail(w.at.Add(time.Duration(29+10*magnitude(v))*time.Minute), "api", 41, rhumb.Failure{OOM: true, Ended: true,
				ExitCode: 137, Reason: "exited with 137: out of memory"})
		}
	}},
	{"too little CPU", kinds(rhumb.HappenedThrottled), "web", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			web := w.app("web")
			web.cpu, web.throttle, web.latency = 0.5, 0.4+0.2*magnitude(v), web.latency*(3+3*magnitude(v))
		})
	}},
	{"a failing check", kinds(rhumb.HappenedUnhealthy), "web", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			w.app("web").sick, w.app("web").lacks = true, 1+v%2
			w.app("web").unserved = 8 * magnitude(v)
		})
	}},
	{"a service that writes new errors", kinds(rhumb.HappenedLog), "worker", func(w *world, v int) {
		w.repeat(w.at, time.Duration(6+4*v)*time.Second, "worker", "ERROR can't parse order %d: field total is missing", 1234)
	}},
}

var dependencyFaults = []fault{
	{"a slow database", kinds(rhumb.HappenedDependency), "db", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			w.app("db").cpu = 1.2 + 0.4*magnitude(v)
			w.app("api").latency *= 4 + 3*magnitude(v)
			w.app("web").latency *= 3
		})
		if v > 0 {
			w.repeat(w.lag(20*time.Second), 6*time.Second, "api", "ERROR timeout: no answer from db:5432 within 5 s")
		}
	}},
	{"a slow service behind another", kinds(rhumb.HappenedDependency), "api", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			w.app("api").latency *= 8 + 6*magnitude(v)
			w.app("web").latency += 0.1
		})
		if v > 0 {
			w.repeat(w.lag(20*time.Second), 6*time.Second, "web",
				`{"level":"error","msg":"call failed","err":"Get \"http://api:80/items\": context deadline exceeded"}`)
		}
	}},
	{"a database that died", kinds(rhumb.HappenedCrash, rhumb.HappenedDependency), "db", func(w *world, v int) {
		w.fail(w.at, "db", 40, rhumb.Failure{Ended: true, ExitCode: 1, Reason: "exited with 1"})
		w.briefly(time.Duration(3+4*v)*time.Minute, func(w *world, _ time.Time) {
			w.app("db").lacks = 1
			w.app("api").errors, w.app("web").errors = 0.7, 0.4
		})
		for i := range 30 {
			w.say(w.at.Add(time.Duration(1+3*i)*time.Second), "api", "ERROR dial tcp: lookup db: connection refused (db:5432)")
		}
		w.fail(w.at.Add(50*time.Second), "worker", 41, rhumb.Failure{Ended: true, ExitCode: 1, Reason: "exited with 1",
			Logs: []string{"can't connect to db:5432: connection refused"}})
	}},
	{"a remote service that fails", kinds(rhumb.HappenedDependency), "", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			w.app("web").errors = 0.1 * magnitude(v)
			w.app("web").latency *= 5
		})
		w.repeat(w.at, 5*time.Second, "web", "ERROR POST https://api.payments.example.com/charge: timeout after 10000 ms")
	}},
	{"more traffic", kinds(rhumb.HappenedTraffic), "web", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			web := w.app("web")
			web.rate *= 3 + 2*magnitude(v)
			web.cpu, web.throttle, web.latency = 0.6, 0.4, web.latency*5
			w.app("db").cpu *= 2.2
			if v > 0 {
				web.errors = 0.04
			}
		})
	}},
	{"no more traffic", kinds(rhumb.HappenedTraffic), "web", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) { w.app("web").rate *= 0.04 * magnitude(v) })
	}},
	{"slowness without a reason", kinds(rhumb.HappenedUnknown), "web", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) { w.app("web").latency *= 4 * magnitude(v) * 1.5 })
	}},
}

var machineFaults = []fault{
	{"a full disk", kinds(rhumb.HappenedDisk), "", func(w *world, v int) {
		full := func(w *world, now time.Time) {
			left := 0.4 - 0.4*now.Sub(w.at.Add(-10*time.Minute)).Minutes()/10
			w.node.left["/var/lib/docker"] = max(0.001, left)
		}
		w.knobs = append(w.knobs, during(w.at.Add(-10*time.Minute), until.Add(1), full))
		w.since(func(w *world, _ time.Time) { w.app("api").errors, w.app("web").errors = 0.3*magnitude(v), 0.2 })
		w.repeat(w.at, 5*time.Second, "db", "ERROR could not extend file base/16384: No space left on device")
		w.repeat(w.at, 5*time.Second, "api", "ERROR write to db failed: unexpected error %d", 53100)
		if v > 0 {
			w.fail(w.at.Add(40*time.Second), "db", 40, rhumb.Failure{Ended: true, ExitCode: 1, Reason: "exited with 1"})
		}
	}},
	{"a full volume", kinds(rhumb.HappenedDisk), "db", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) { w.app("api").errors = 0.3 * magnitude(v) })
		w.repeat(w.at, 4*time.Second, "db", "PANIC: could not write to file pg_wal/xlogtemp: No space left on device")
	}},
	{"a slow disk", kinds(rhumb.HappenedDisk), "", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			w.node.busy, w.node.ioWait = 0.97, 0.5
			w.app("api").latency *= 4 + 2*magnitude(v)
			w.app("web").latency *= 3
			if v > 0 {
				w.app("worker").disk = 80e6
			}
		})
	}},
	{"a busy machine", kinds(rhumb.HappenedHostCPU), "", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			for _, a := range w.apps {
				a.latency *= 3 + 2*magnitude(v)
			}
			switch v % 3 {
			case 0:
				w.node.other = 3.2
			case 1:
				w.node.steal = 2
			case 2:
				w.app("site").cpu, w.app("site").latency = 3, 0.03
			}
		})
	}},
	{"a machine without memory", kinds(rhumb.HappenedHostMemory), "", func(w *world, v int) {
		full := func(w *world, now time.Time) {
			w.node.memory = min(0.2+0.06*now.Sub(w.at.Add(-9*time.Minute)).Minutes(), 0.785)
		}
		w.knobs = append(w.knobs, during(w.at.Add(-9*time.Minute), until.Add(1), full))
		w.since(func(w *world, _ time.Time) {
			w.node.stall = 0.3
			w.app("api").latency *= 4 * magnitude(v)
		})
		w.briefly(tick, func(w *world, _ time.Time) { w.node.kills = 1 })
		w.fail(w.lag(30*time.Second), "db", 40, rhumb.Failure{OOM: true, Ended: true, ExitCode: 137,
			Reason: "exited with 137: out of memory"})
	}},
	{"a restart of the engine", kinds(rhumb.HappenedEngine), "", func(w *world, v int) {
		w.briefly(30*time.Second, func(w *world, _ time.Time) { w.node.engine = float64(v % 2) })
		w.own(w.at, rhumb.LineProxy, `{"level":"WARN","msg":"engine event stream lost, retrying","err":"EOF"}`)
		for i, s := range []string{"web", "api", "db", "worker"} {
			w.fail(w.at.Add(time.Duration(3+i)*time.Second), s, 41, rhumb.Failure{Ended: true, Reason: "exited with 0"})
		}
		w.briefly(time.Minute, func(w *world, _ time.Time) {
			w.app("web").unserved, w.app("api").unserved, w.app("web").errors = 30, 20, 0.3
		})
	}},
	{"a restart of the machine", kinds(rhumb.HappenedEngine), "", func(w *world, v int) {
		up := w.at.Add(time.Duration(60+60*v) * time.Second)
		w.since(func(w *world, now time.Time) {
			w.node.boot, w.node.proxyStart = up.Add(-20*time.Second), up
			if now.Before(up.Add(time.Minute)) {
				w.app("web").rate, w.app("api").rate, w.app("site").rate = 0, 0, 0
				w.app("web").unserved = 20
			}
		})
		for i, s := range []string{"web", "api", "db"} {
			w.fail(up.Add(time.Duration(5+i)*time.Second), s, 41, rhumb.Failure{Ended: true, ExitCode: 255,
				Reason: "exited with 255"})
		}
	}},
	{"a restart of the proxy", kinds(rhumb.HappenedProxy), "", func(w *world, v int) {
		w.since(func(w *world, now time.Time) {
			w.node.proxyStart = w.at
			if now.Before(w.at.Add(time.Minute)) {
				w.app("web").cut, w.app("api").cut = 30*magnitude(v), 10
				w.app("web").rate *= 0.3
			}
		})
	}},
	{"a killed proxy whose losses were not counted", kinds(rhumb.HappenedProxy), "", func(w *world, _ int) {
		w.since(func(w *world, _ time.Time) { w.node.proxyStart = w.at })
		w.own(w.at.Add(200*time.Millisecond), rhumb.LineProxy, `{"level":"INFO","msg":"saved table served","version":9}`)
	}},
	{"an expired certificate", kinds(rhumb.HappenedCertificate), "", func(w *world, v int) {
		w.node.expires = w.at
		w.since(func(w *world, _ time.Time) {
			w.app("web").rate *= 0.03
			if v > 0 {
				w.app("api").errors = 0.3
			}
		})
		if v > 0 {
			w.repeat(w.at, 8*time.Second, "worker", "ERROR x509: certificate has expired or is not yet valid")
		}
	}},
	{"a certificate that clients don't trust", kinds(rhumb.HappenedCertificate), "", func(w *world, v int) {
		w.since(func(w *world, _ time.Time) {
			w.node.expires = began.Add(90 * 24 * time.Hour)
			w.app("web").rate *= 0.05 * magnitude(v)
		})
		w.repeat(w.at, 8*time.Second, "worker", "ERROR x509: certificate signed by unknown authority")
	}},
}
