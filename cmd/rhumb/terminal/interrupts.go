package terminal

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Interrupts are SIGINT and SIGTERM. They end the program's context, unless somebody has taken them over.
type Interrupts struct {
	ch chan os.Signal

	mu    sync.Mutex
	taker chan os.Signal // nil: nobody
	once  bool           // it takes only one
	seen  bool
}

// NewInterrupts gives those of this process; Watch begins to look for them.
func NewInterrupts() *Interrupts { return &Interrupts{ch: make(chan os.Signal, 2)} }

// Watch gives a context that ends with the first interrupt that nobody takes. stop ends the watching.
func (i *Interrupts) Watch(ctx context.Context) (context.Context, func()) {
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

func (i *Interrupts) arrived(s os.Signal, cancel func()) {
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
	if i.once {
		i.taker = nil
	}
}

// Take has interrupts go to the channel until give is called.
func (i *Interrupts) Take() (ch <-chan os.Signal, give func()) { return i.take(false) }

// TakeOne has the next interrupt go to the channel, unless give is called before. Those after it end the program's context.
func (i *Interrupts) TakeOne() (ch <-chan os.Signal, give func()) { return i.take(true) }

func (i *Interrupts) take(once bool) (ch <-chan os.Signal, give func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	taker := make(chan os.Signal, 2)
	i.taker, i.once = taker, once
	return taker, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.taker = nil
	}
}

// Interrupted tells whether the program's context was ended by an interrupt.
func (i *Interrupts) Interrupted() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.seen
}
