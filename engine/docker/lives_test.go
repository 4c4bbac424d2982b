package docker_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"rhumb"
	"rhumb/engine/docker"
)

// ear collects lives, and keeps the last one of each replica.
type ear struct {
	mu    sync.Mutex
	alive map[string]bool
	err   error
	count int // errors
	done  chan struct{}
}

func listen(ctx context.Context, e *docker.Engine) *ear {
	h := &ear{alive: map[string]bool{}, done: make(chan struct{})}
	go func() {
		defer close(h.done)
		for l, err := range e.Lives(ctx) {
			h.mu.Lock()
			if err != nil {
				h.err = err
				h.count++
			} else {
				h.alive[l.ID] = l.Alive
			}
			h.mu.Unlock()
		}
	}()
	return h
}

// says reports whether the last life of a replica was of this kind.
func (h *ear) says(id string, alive bool) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, ok := h.alive[id]
	return ok && last == alive
}

func TestDeathsAreReportedAtOnceAndEarlierOnesToo(t *testing.T) {
	e, stack := need(t), stackName(t)
	dead := start(t, e, spec(t, stack, "dead", 1, "exit", "1"))
	web := start(t, e, spec(t, stack, "web", 1))
	exited := func() bool {
		rs, err := e.Replicas(t.Context(), stack)
		return err == nil && len(rs) == 2 && rs[0].State == rhumb.StateExited
	}
	within(t, 10*time.Second, "one is dead", exited)
	ctx, cancel := context.WithCancel(t.Context())
	h := listen(ctx, e)
	within(t, 5*time.Second, "the dead replica and the running one are reported",
		func() bool { return h.says(dead.ID, false) && h.says(web.ID, true) })
	if _, err := raw(t).ContainerKill(t.Context(), web.ID, client.ContainerKillOptions{}); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	within(t, 5*time.Second, "the death is reported", func() bool { return h.says(web.ID, false) })
	t.Logf("reported %v after the kill was answered", time.Since(begun))
	if _, err := raw(t).ContainerStart(t.Context(), web.ID, client.ContainerStartOptions{}); err != nil {
		t.Fatal(err)
	}
	within(t, 5*time.Second, "the start is reported", func() bool { return h.says(web.ID, true) })
	cancel()
	select {
	case <-h.done:
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on after its context")
	}
	if h.err != nil {
		t.Errorf("an end that was asked for is an error: %v", h.err)
	}
}

func TestNoDeathFallsBetweenTheListAndTheEvents(t *testing.T) {
	e, stack, c := need(t), stackName(t), raw(t)
	for i := range 6 {
		r := start(t, e, spec(t, stack, "web", i+1))
		ctx, cancel := context.WithCancel(t.Context())
		killed := make(chan error, 1)
		go func() {
			_, err := c.ContainerKill(t.Context(), r.ID, client.ContainerKillOptions{})
			killed <- err
		}()
		time.Sleep(time.Duration(i) * 4 * time.Millisecond) // around the moment of the death
		h := listen(ctx, e)
		within(t, 5*time.Second, "the death is reported", func() bool { return h.says(r.ID, false) })
		cancel()
		<-h.done
		if err := <-killed; err != nil {
			t.Fatal(err)
		}
	}
}

func TestLivesOfAnEngineThatGoesAwayEndWithOneError(t *testing.T) {
	direct := need(t)
	r := start(t, direct, spec(t, stackName(t), "web", 1))
	c := newCord(t)
	e, err := docker.New(docker.Options{Host: "unix://" + c.path})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	h := listen(t.Context(), e)
	within(t, 10*time.Second, "the running replica is reported", func() bool { return h.says(r.ID, true) })
	c.cut()
	select {
	case <-h.done:
	case <-time.After(10 * time.Second):
		t.Fatal("it has not ended")
	}
	if h.count != 1 || rhumb.ErrorCode(h.err) != rhumb.Unavailable {
		t.Errorf("%d errors, the last %v", h.count, h.err)
	}
}
