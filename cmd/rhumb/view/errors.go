package view

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"rhumb"
)

// Error prints an error with its place, or else the program's name, and its hint.
func Error(w io.Writer, err error) {
	p := paintOn(w)
	var e *rhumb.Error
	prefix := "rhumb: "
	if errors.As(err, &e) && e.At != "" {
		prefix = ""
	}
	fmt.Fprintln(w, p.red(prefix)+strings.TrimSpace(err.Error()))
	if hint := rhumb.ErrorHint(err); hint != "" {
		fmt.Fprintln(w, p.dim("hint: ")+hint)
	}
}

// Warning prints a note about a file or a stack.
func Warning(w io.Writer, n rhumb.Note) {
	at := n.At
	if at != "" {
		at += ": "
	}
	fmt.Fprintf(w, "%s%s%s: %s\n", paintOn(w).yellow("warning: "), at, n.Subject, n.Why)
}
