// Command bench measures rhumb against the floor that the engine sets (raw API calls) and against docker-compose.
// They take turns within one run, because ratios are stable even if the machine's speed drifts.
//
//	bench -rhumb bin/rhumb -image rhumb-test/app:1 [-n 10] [-part metrics] [-against older/rhumb]
//
// It needs a Docker Engine, and starts a rhumb server of its own in a temporary folder.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the settings of a run.
type options struct {
	rhumb   string        // the binary
	against string        // another binary; "": none
	image   string        // an image whose program listens on ADDR after START_DELAY
	n       int           // counted rounds of each measure
	delay   time.Duration // between a replica's start and its readiness
}

func run(ctx context.Context) error {
	var o options
	flag.StringVar(&o.rhumb, "rhumb", "bin/rhumb", "the binary to measure")
	flag.StringVar(&o.image, "image", "rhumb-test/app:1", "an image of test/images/app")
	flag.IntVar(&o.n, "n", 10, "counted rounds")
	flag.DurationVar(&o.delay, "delay", 300*time.Millisecond, "time between a replica's start and its readiness")
	flag.StringVar(&o.against, "against", "", "another binary, whose proxy is compared with that of -rhumb")
	part := flag.String("part", "", "only this part: logs, metrics, proxy or deploy")
	flag.Parse()
	if *part == partThrough { // a process of -part proxy
		return passOn(ctx, flag.Arg(0))
	}
	known := false
	for _, p := range []struct {
		name string
		do   func(context.Context, options) error
	}{{"logs", logs}, {"metrics", sampleReplicas}, {"proxy", proxies}, {"deploy", deployments}} {
		if *part != "" && *part != p.name {
			continue
		}
		known = true
		if err := p.do(ctx, o); err != nil {
			return err
		}
	}
	if !known {
		return fmt.Errorf("there is no part %q", *part)
	}
	return nil
}

// logs measures what it costs to keep lines, and to do nothing.
func logs(ctx context.Context, o options) error {
	if err := keepLogs(ctx); err != nil {
		return err
	}
	return followAndIdle(ctx, o)
}

// proxies measures requests through the proxy, beside other proxies and beside another binary.
func proxies(ctx context.Context, o options) error {
	if err := measureProxy(ctx, o); err != nil {
		return err
	}
	return compareProxies(ctx, o)
}

// deployments compares deployments with the engine's floor and with docker-compose.
func deployments(ctx context.Context, o options) error {
	c, err := newCompose(o)
	if err != nil {
		return err
	}
	f, err := newFloor(ctx, o)
	if err != nil {
		return err
	}
	defer f.clean(context.WithoutCancel(ctx))
	r, err := newServer(ctx, o, "off") // the peers keep no logs
	if err != nil {
		return err
	}
	defer r.close(context.WithoutCancel(ctx))
	defer c.clean(context.WithoutCancel(ctx))

	fmt.Printf("%d rounds each, in turns; a replica is ready %s after its start\n\n", o.n, o.delay)
	if err := oneReplica(ctx, o, f, r, c); err != nil {
		return err
	}
	return tenServices(ctx, o, f, r, c)
}

// oneReplica measures a deployment that changes one replica, until the new replica answers.
func oneReplica(ctx context.Context, o options, f *floor, r *server, c *compose) error {
	var floorT, rhumbT, composeT series
	if err := r.deploy(ctx, oneService(o, 0)); err != nil { // the first round changes it
		return err
	}
	if err := c.up(ctx, oneService(o, 0)); err != nil {
		return err
	}
	for i := 1; i <= o.n+1; i++ {
		a, err := f.replica(ctx, i)
		if err != nil {
			return err
		}
		b, err := timed(func() error { return r.deploy(ctx, oneService(o, i)) })
		if err != nil {
			return err
		}
		d, err := timed(func() error { return c.up(ctx, oneService(o, i)) })
		if err != nil {
			return err
		}
		if i > 1 { // the first round warms up
			floorT, rhumbT, composeT = append(floorT, a), append(rhumbT, b), append(composeT, d)
		}
	}
	fmt.Println("One changed replica, until the new one answers and the command has returned")
	report("create + start + ready, raw API", floorT, floorT)
	report("rhumb deploy", rhumbT, floorT)
	report("docker-compose up -d + ready", composeT, floorT)
	fmt.Println()
	return nil
}

// tenServices measures a new stack of ten services, until all of them answer.
func tenServices(ctx context.Context, o options, f *floor, r *server, c *compose) error {
	var rhumbT, composeT series
	floors := map[int]series{}
	file := manyServices(o, 10)
	rounds := max(3, o.n/3)
	for i := 0; i <= rounds; i++ {
		var base = map[int]time.Duration{}
		for _, side := range []int{2, 4, 8} {
			t, err := f.stack(ctx, 10, side)
			if err != nil {
				return err
			}
			base[side] = t
		}
		if err := r.down(ctx); err != nil {
			return err
		}
		b, err := timed(func() error { return r.deploy(ctx, file) })
		if err != nil {
			return err
		}
		c.clean(ctx)
		d, err := timed(func() error { return c.up(ctx, file) })
		if err != nil {
			return err
		}
		if i > 0 {
			for side, t := range base {
				floors[side] = append(floors[side], t)
			}
			rhumbT, composeT = append(rhumbT, b), append(composeT, d)
		}
	}
	best := 2
	for side, t := range floors {
		if t.median() < floors[best].median() {
			best = side
		}
	}
	fmt.Println("Ten services from nothing, until all answer and the command has returned")
	report(fmt.Sprintf("raw API, %d at a time (the best of 2, 4, 8)", best), floors[best], floors[best])
	report("rhumb deploy", rhumbT, floors[best])
	report("docker-compose up -d + ready", composeT, floors[best])
	return nil
}

// settling is the pause before each measurement. Work that the previous one left in the background, such as an old
// replica that is stopping, must not slow down the next.
const settling = 1500 * time.Millisecond

func timed(do func() error) (time.Duration, error) {
	time.Sleep(settling)
	t := time.Now()
	err := do()
	return time.Since(t), err
}
