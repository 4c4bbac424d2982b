package main

import (
	"bufio"
	"context"
	"fmt"
	"strings"

	"rhumb/cmd/rhumb/view"
)

// sure asks a question on a terminal; elsewhere nobody is there to answer, and what was written on the command line counts.
func (a *app) sure(ctx context.Context, question string) bool {
	if !view.Terminal(a.stdin) || !view.Terminal(a.stderr) {
		return true
	}
	fmt.Fprint(a.stderr, question+" [y/N] ")
	answer := make(chan string, 1)
	go func() { // nothing can interrupt a read from a terminal: it ends with the process at the latest
		line, _ := bufio.NewReader(a.stdin).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case line := <-answer:
		return line == "y" || line == "yes"
	case <-ctx.Done():
		fmt.Fprintln(a.stderr)
		return false
	}
}
