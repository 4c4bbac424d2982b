// Package enginetest is the contract of rhumb.Engine, of its optional capabilities and of rhumb.Images as tests. Every
// engine passes them for what it offers, the fake first.
package enginetest

import (
	"context"
	"crypto/rand"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// Options are what the suite can't find out. Every field must be set.
type Options struct {
	// Image is an image whose program does what its arguments say, one after the other: print LINE, err LINE (to
	// standard error), exit CODE, sleep DURATION, ignore (the stop signal), trap (it: exit with 0), cat FILE, copy
	// (standard input to output), env NAME. Without arguments it runs until it is stopped, and ends with 0.
	Image rhumb.Image
	// Declaring is the same with a volume declared at /data.
	Declaring rhumb.Image
	// NewImage makes an image of that name for this test alone, as a build would, and returns it as Resolve would.
	NewImage func(t *testing.T, e rhumb.Engine, name string) rhumb.Image
	// Built makes an image of that name for this test alone, as rhumb's own build would.
	Built func(t *testing.T, e rhumb.Engine, name string) rhumb.Image
	// AddNetwork and AddVolume make one by hand, without labels, and remove it at the test's end.
	AddNetwork, AddVolume func(t *testing.T, e rhumb.Engine, name string)
	// Hosts reads a running replica's hosts file: addresses by name, the first where there are several.
	Hosts func(t *testing.T, e rhumb.Engine, id string) map[string]string
	// Disconnect takes a running replica out of a network by hand.
	Disconnect func(t *testing.T, e rhumb.Engine, id, network string)
	// Kill kills a replica by hand.
	Kill func(t *testing.T, e rhumb.Engine, id string)
	// Clear removes everything of a stack.
	Clear func(t *testing.T, e rhumb.Engine, stack string)
	// Away makes an engine that can't be reached.
	Away func(t *testing.T) rhumb.Engine
}

// bench is what one test works on.
type bench struct {
	*testing.T
	rhumb.Engine
	o     Options
	stack string // the test's own
}

// open returns a new connection to an engine.
type open = func(t *testing.T) rhumb.Engine

// Run runs all the contract's tests. A test that needs a capability which the engine doesn't offer is skipped, and says
// why. What one test leaves behind is cleared.
func Run(t *testing.T, e open, o Options) {
	Replicas(t, e, o)
	Holdings(t, e, o)
	Images(t, e, o)
	Hosts(t, e, o)
	Probes(t, e, o)
	Streams(t, e, o)
	Writers(t, e, o)
	Processes(t, e, o)
	run(t, e, o, awayTests)
}

// Replicas tests rhumb.ReplicaEngine.
func Replicas(t *testing.T, e open, o Options) { run(t, e, o, replicaTests, startTests, watchTests) }

// Holdings tests rhumb.NetworkEngine and rhumb.VolumeEngine.
func Holdings(t *testing.T, e open, o Options) { run(t, e, o, holdingTests) }

// Images tests rhumb.Images.
func Images(t *testing.T, e open, o Options) { run(t, e, o, imageTests) }

// Hosts tests rhumb.HostsSetter.
func Hosts(t *testing.T, e open, o Options) { run(t, e, o, hostsTests) }

// Probes tests rhumb.Prober.
func Probes(t *testing.T, e open, o Options) { run(t, e, o, probeTests) }

// Streams tests rhumb.LogReader and rhumb.CommandRunner.
func Streams(t *testing.T, e open, o Options) { run(t, e, o, streamTests, hookTests) }

// Writers tests rhumb.LogWriters.
func Writers(t *testing.T, e open, o Options) { run(t, e, o, writerTests) }

// Processes tests rhumb.Processes.
func Processes(t *testing.T, e open, o Options) { run(t, e, o, processTests) }

func run(t *testing.T, e open, o Options, groups ...map[string]func(*bench)) {
	for _, group := range groups {
		for _, name := range slices.Sorted(maps.Keys(group)) {
			t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
				b := &bench{T: t, Engine: e(t), o: o, stack: "et" + strings.ToLower(rand.Text()[:10])}
				t.Cleanup(func() { o.Clear(t, b.Engine, b.stack) })
				group[name](b)
			})
		}
	}
}

// offered returns the engine as C, or skips the test: the engine can't do what.
func offered[C any](b *bench, what string) C {
	b.Helper()
	c, ok := b.Engine.(C)
	if !ok {
		b.Skipf("%T can't %s", b.Engine, what)
	}
	return c
}

func images(b *bench) rhumb.Images { return offered[rhumb.Images](b, "pull and keep images") }
func setter(b *bench) rhumb.HostsSetter {
	return offered[rhumb.HostsSetter](b, "change hosts files")
}
func prober(b *bench) rhumb.Prober    { return offered[rhumb.Prober](b, "run health checks") }
func reader(b *bench) rhumb.LogReader { return offered[rhumb.LogReader](b, "read logs") }
func writers(b *bench) rhumb.LogWriters {
	return offered[rhumb.LogWriters](b, "say where logs are")
}
func processes(b *bench) rhumb.Processes {
	return offered[rhumb.Processes](b, "say which processes replicas are")
}
func commands(b *bench) rhumb.CommandRunner {
	return offered[rhumb.CommandRunner](b, "run commands")
}

// ctx returns a context that ends before the test runner stops the test.
func (b *bench) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	b.Cleanup(cancel)
	return ctx
}

// spec returns the spec of slot 1 of a service at release 1, with a command.
func (b *bench) spec(service string, command ...string) rhumb.ReplicaSpec {
	return b.specOf(service, rhumb.Container{Command: command})
}

// specOf returns the spec of a container, with the suite's image unless it has one.
func (b *bench) specOf(service string, c rhumb.Container) rhumb.ReplicaSpec {
	if c.Image == "" {
		c.Image, c.ImageID = b.o.Image.Ref, b.o.Image.ID
	}
	if len(c.Networks) == 0 && c.NetworkMode == "" {
		c.NetworkMode = "none" // the fastest
	}
	return rhumb.ReplicaSpec{Stack: b.stack, Service: service, Release: 1, Slot: 1, Container: c, Spec: c.Hash()}
}

// start starts a replica.
func (b *bench) start(s rhumb.ReplicaSpec) rhumb.Replica {
	b.Helper()
	r, err := b.Start(b.ctx(), s)
	if err != nil {
		b.Fatalf("start %s: %v", s.Name(), err)
	}
	return r
}

// look returns a replica as the engine shows it now; its ID is "" if it is gone.
func (b *bench) look(id string) rhumb.Replica {
	b.Helper()
	rs, err := b.Replicas(b.ctx(), b.stack)
	if err != nil {
		b.Fatal(err)
	}
	for _, r := range rs {
		if r.ID == id {
			return r
		}
	}
	return rhumb.Replica{}
}

// exited waits for a replica's exit.
func (b *bench) exited(id string) rhumb.Replica {
	b.Helper()
	var r rhumb.Replica
	b.within(20*time.Second, "replica has exited", func() bool {
		r = b.look(id)
		return r.State == rhumb.StateExited
	})
	return r
}

// within waits for something to come true.
func (b *bench) within(d time.Duration, what string, done func() bool) {
	b.Helper()
	deadline := time.Now().Add(d)
	for !done() {
		if time.Now().After(deadline) {
			b.Fatalf("not within %v: %s", d, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// ok fails the test on an error.
func (b *bench) ok(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// is checks an error's code.
func (b *bench) is(err error, code rhumb.Code) {
	b.Helper()
	if err == nil || rhumb.ErrorCode(err) != code {
		b.Fatalf("error is %q (%v), want %q", rhumb.ErrorCode(err), err, code)
	}
}

// built makes an image as a build of the service web would.
func (b *bench) built() rhumb.Image {
	b.Helper()
	return b.o.NewImage(b.T, b.Engine, b.stack+"-web:1f3c9a2")
}

// gone ends and removes a replica.
func (b *bench) gone(id string) {
	b.Helper()
	b.ok(b.Stop(b.ctx(), id))
	b.ok(b.Remove(b.ctx(), id))
}
