package act

import (
	"context"
	"sync"
)

// waits are the contexts of what a deployment waits for, such as hooks and checks. They all end when the deployment
// goes another way: a rollback doesn't wait ten minutes for a hook.
type waits struct {
	mu   sync.Mutex
	ends map[int]context.CancelCauseFunc
	next int
}

// context returns a context that ends with ctx or when the deployment goes another way. done must be called.
func (w *waits) context(ctx context.Context) (_ context.Context, done func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ends == nil {
		w.ends = map[int]context.CancelCauseFunc{}
	}
	w.next++
	n := w.next
	w.ends[n] = cancel
	return ctx, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.ends, n)
		cancel(nil)
	}
}

// Forget drops what is cached of the store's settings about the stack.
func (p *Performer) Forget() {
	p.Inside.Book.Forget()
	p.Done.Forget()
}

// Abandon ends the hooks and checks that the deployment waits for.
func (p *Performer) Abandon() {
	p.waits.mu.Lock()
	defer p.waits.mu.Unlock()
	for _, cancel := range p.waits.ends {
		cancel(context.Canceled)
	}
}
