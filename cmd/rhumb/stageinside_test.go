package main

import (
	"bufio"
	"context"
	"fmt"

	"rhumb"
)

// Exec plays the commands "cat", "fail", "obey" and "ignore" (signals). For any other command it prints its arguments.
func (s *stage) Exec(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
	switch o.Command[0] {
	case "cat":
		lines := bufio.NewScanner(o.Streams.In)
		for lines.Scan() {
			fmt.Fprintln(o.Streams.Out, lines.Text())
		}
		fmt.Fprintln(o.Streams.Err, "done")
		return 0, nil
	case "fail":
		return 42, nil
	case "obey", "ignore":
		s.send(rhumb.Event{Kind: rhumb.EventStarted, Stack: stack, Service: service})
		sig := <-o.Streams.Signals
		s.send(rhumb.Event{Kind: rhumb.EventStopped, Stack: stack, Service: service})
		if o.Command[0] == "obey" {
			fmt.Fprintln(o.Streams.Out, sig)
			return 7, nil
		}
		<-ctx.Done()
		return 0, ctx.Err()
	}
	fmt.Fprintf(o.Streams.Out, "%s/%s slot %d, %v in %q as %q with %v\n", stack, service, slot,
		o.Command, o.WorkingDir, o.User, o.Env)
	return 0, nil
}

func (s *stage) Run(ctx context.Context, stack, service string, o rhumb.ExecOptions) (int, error) {
	if len(o.Command) == 0 {
		o.Command = []string{"its own"}
	}
	if o.Release != 0 {
		service += fmt.Sprintf(" of release %d", o.Release)
	}
	return s.Exec(ctx, stack, service, 0, o)
}
