package docker

import (
	"context"
	"sync"
)

// names is a lock for each name. The zero value is ready.
type names struct {
	mu   sync.Mutex
	held map[string]chan struct{} // closed when it is free again
}

// hold locks a name until release is called. It fails only if ctx ends first.
func (n *names) hold(ctx context.Context, name string) (release func(), err error) {
	for {
		n.mu.Lock()
		busy, ok := n.held[name]
		if !ok {
			break
		}
		n.mu.Unlock()
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer n.mu.Unlock()
	if n.held == nil {
		n.held = map[string]chan struct{}{}
	}
	mine := make(chan struct{})
	n.held[name] = mine
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.held, name)
		close(mine)
	}, nil
}
