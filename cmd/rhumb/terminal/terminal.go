// Package terminal is the user's side of a command: the terminal and its size, answers to questions, and interrupts.
package terminal

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"rhumb"
)

// Is reports whether a stream is a terminal.
func Is(stream any) bool {
	f, ok := file(stream)
	return ok && term.IsTerminal(int(f.Fd()))
}

// file returns the file behind a stream.
func file(stream any) (*os.File, bool) {
	if u, ok := stream.(interface{ Unwrap() io.Writer }); ok {
		stream = u.Unwrap()
	}
	f, ok := stream.(*os.File)
	return f, ok
}

// Width returns a terminal's columns. It returns 80 if w is not a terminal.
func Width(w io.Writer) int {
	if f, ok := file(w); ok {
		if cols, _, err := term.GetSize(int(f.Fd())); err == nil && cols > 0 {
			return cols
		}
	}
	return 80
}

// Height returns a terminal's rows. It returns 24 if w is not a terminal.
func Height(w io.Writer) int {
	if f, ok := file(w); ok {
		if _, rows, err := term.GetSize(int(f.Fd())); err == nil && rows > 0 {
			return rows
		}
	}
	return 24
}

// Sizes returns a channel that receives a terminal's size and each change of it, until stop is called.
func Sizes(f *os.File) (sizes <-chan rhumb.Size, stop func()) {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	out := make(chan rhumb.Size, 1)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			if cols, rows, err := term.GetSize(int(f.Fd())); err == nil {
				select {
				case out <- rhumb.Size{Rows: uint16(rows), Cols: uint16(cols)}:
				case <-quit:
					return
				}
			}
			select {
			case <-changed:
			case <-quit:
				return
			}
		}
	}()
	return out, func() {
		signal.Stop(changed)
		close(quit)
		<-done
	}
}
