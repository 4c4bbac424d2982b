package view

import (
	"fmt"
	"io"

	"rhumb"
)

// Event prints an event as one line. With several it includes the stack's name.
func Event(w io.Writer, e rhumb.Event, several bool) error {
	p := paintOn(w)
	words := wordsOf(e)
	switch e.Kind {
	case rhumb.EventFailed, rhumb.EventBackoff:
		words = p.red(words)
	case rhumb.EventWarning, rhumb.EventLimits:
		words = p.yellow(words)
	case rhumb.EventReady, rhumb.EventCompleted:
		words = p.green(words)
	case rhumb.EventDeployment:
		words = p.bold(words)
	}
	stack := ""
	if several {
		stack = e.Stack + "  "
	}
	_, err := fmt.Fprintf(w, "%s  %s%s\n", p.dim(e.At.Local().Format("2006-01-02 15:04:05")), stack, words)
	return err
}
