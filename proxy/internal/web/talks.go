package web

import (
	"context"
	"sync"
)

// talks starts conversations.
type talks struct {
	fresh chan *conversation
	done  chan struct{}
	once  *sync.Once
}

func newTalks() talks {
	return talks{fresh: make(chan *conversation), done: make(chan struct{}), once: &sync.Once{}}
}

// begin has a conversation started, and reports whether that is so: after the end it isn't.
func (t *talks) begin(c *conversation) bool {
	select {
	case t.fresh <- c:
		return true
	case <-t.done:
		return false
	}
}

// end starts no more conversations.
func (t *talks) end() { t.once.Do(func() { close(t.done) }) }

// run starts conversations until end, and waits for all of them. They are cut when ctx ends.
func (t *talks) run(ctx context.Context) {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		select {
		case c := <-t.fresh:
			all.Go(func() { c.run(ctx) })
		case <-t.done:
			return
		}
	}
}
