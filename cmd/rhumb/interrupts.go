package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// interrupts are SIGINT and SIGTERM. They end the program's context, unless somebody has taken them over.
type interrupts struct {
	ch chan os.Signal

	mu    sync.Mutex
	taker chan os.Signal // nil: nobody
	seen  bool
}

func newInterrupts() *interrupts { return &interrupts{ch: make(chan os.Signal, 2)} }

// watch gives a context that ends with the first interrupt that nobody takes. stop ends the watching.
func (i *interrupts) watch(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signal.Notify(i.ch, syscall.SIGINT, syscall.SIGTERM)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-quit:
				return
			case s := <-i.ch:
				i.arrived(s, cancel)
			}
		}
	}()
	return ctx, func() {
		signal.Stop(i.ch)
		cancel()
		close(quit)
		<-done
	}
}

func (i *interrupts) arrived(s os.Signal, cancel func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.taker == nil {
		i.seen = true
		cancel()
		return
	}
	select {
	case i.taker <- s:
	default: // one that waits to be read is enough
	}
}

// take has interrupts go to the channel until give is called.
func (i *interrupts) take() (ch <-chan os.Signal, give func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	taker := make(chan os.Signal, 2)
	i.taker = taker
	return taker, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.taker = nil
	}
}

// interrupted tells whether the program's context was ended by an interrupt.
func (i *interrupts) interrupted() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.seen
}
