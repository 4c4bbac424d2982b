package web

import (
	"context"
	"sync"
)

// talks starts conversations and waits for them.
type talks struct {
	done chan struct{} // closed once no more are started
	all  sync.WaitGroup

	mu    sync.Mutex
	now   map[*conversation]struct{}
	ended bool // done is closed
	over  bool // run's context has ended
}

// begin starts a conversation, and reports whether that is so: after the end, or the end of run's context, it isn't.
func (t *talks) begin(c *conversation) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ended || t.over {
		return false
	}
	if t.now == nil {
		t.now = map[*conversation]struct{}{}
	}
	t.now[c] = struct{}{}
	t.all.Go(func() {
		sound := c.run()
		if again := t.forget(c); sound && again {
			c.recycle()
		}
	})
	return true
}

// forget takes out a conversation that has ended, and reports whether nothing else uses it.
func (t *talks) forget(c *conversation) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.now, c)
	return !t.over
}

// end starts no more conversations.
func (t *talks) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.ended {
		t.ended = true
		close(t.done)
	}
}

// run waits until end, and then for all conversations. They are cut when ctx ends. One context for each would have to
// enter and leave that of all, which costs more than this list.
func (t *talks) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, t.cut)
	defer stop()
	<-t.done
	t.all.Wait()
}

// cut cuts all conversations. Closing a connection over TLS may take a moment, so they don't wait for one another.
func (t *talks) cut() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	for c := range t.now {
		t.all.Go(c.leave) // no conversation ends without mu, so that run waits for this too
	}
}
