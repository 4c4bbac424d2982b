package terminal

import (
	"context"
	"io"
	"os"

	"golang.org/x/term"

	"rhumb"
)

// Interrupt is the key Ctrl-C.
const Interrupt = '\x03'

// Keys returns a channel that receives each key as it is pressed, until ctx ends or the input does, and a function that
// gives the terminal back its lines. Meanwhile the terminal shows no input, and Ctrl-C is a key. Invalid: in is not a
// terminal.
func Keys(ctx context.Context, in io.Reader) (keys <-chan byte, restore func(), err error) {
	f, ok := in.(*os.File)
	if !ok || !Is(f) {
		return nil, nil, rhumb.Errorf(rhumb.Invalid, "stdin is not a terminal")
	}
	before, err := term.MakeRaw(int(f.Fd()))
	if err != nil {
		return nil, nil, rhumb.Errorf(rhumb.Internal, "the terminal can't be read key by key: %w", err)
	}
	ch := make(chan byte)
	go func() { // a read from a terminal can't be interrupted: it may last until the process ends
		defer close(ch)
		one := make([]byte, 1)
		for {
			if n, err := f.Read(one); err != nil || n == 0 {
				return
			}
			select {
			case ch <- one[0]:
			case <-ctx.Done():
				return
			}
		}
	}()
	return ch, func() { _ = term.Restore(int(f.Fd()), before) }, nil // a terminal that is gone needs no lines
}
