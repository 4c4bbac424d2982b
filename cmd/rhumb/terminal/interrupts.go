package terminal

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Interrupts are SIGINT and SIGTERM. They end the program's context, unless a command has taken them over.
type Interrupts struct {
	ch chan os.Signal

	mu    sync.Mutex
	taker chan os.Signal // nil: interrupts end the context
	once  bool           // the taker gets only one
	seen  bool           // an interrupt has ended the context
}

// NewInterrupts returns the interrupts of this process. Watch starts to receive them.
func NewInterrupts() *Interrupts { return &Interrupts{ch: make(chan os.Signal, 2)} }

// Watch returns a context that ends with the first interrupt that is not taken. stop stops receiving.
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
	default: // the taker has unread ones, which are enough
	}
	if i.once {
		i.taker = nil
	}
}

// Take sends interrupts to the channel until give is called.
func (i *Interrupts) Take() (ch <-chan os.Signal, give func()) { return i.take(false) }

// TakeOne sends the next interrupt to the channel, unless give is called before. Later interrupts end the program's
// context.
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

// Interrupted reports whether an interrupt ended the program's context.
func (i *Interrupts) Interrupted() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.seen
}
