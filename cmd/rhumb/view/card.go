package view

import (
	"fmt"
	"io"
	"strings"

	"rhumb"
)

// cardLines is how many log lines a failure card shows.
const cardLines = 20

// card prints why a replica failed: what, its exit code, its health check's words, its last lines, what to do next.
func card(w io.Writer, p paint, stack string, f rhumb.Failure) {
	name := f.Replica
	if name == "" {
		name = rhumb.ReplicaName(stack, f.Service, f.Release, f.Slot)
	}
	fmt.Fprintf(w, "\n%s %s: %s\n", p.red("✘"), p.bold(name), f.Reason)
	if f.OOM {
		fmt.Fprintf(w, "  %s  killed by the kernel: out of memory\n", p.dim("memory"))
	}
	if f.ExitCode != 0 {
		fmt.Fprintf(w, "  %s  exit code %d%s\n", p.dim("ended "), f.ExitCode, exitWords(f.ExitCode))
	}
	block := func(title, text string) {
		text = strings.TrimRight(text, "\n")
		if text == "" {
			return
		}
		fmt.Fprintf(w, "  %s  ", p.dim(title))
		for i, l := range strings.Split(text, "\n") {
			if i > 0 {
				fmt.Fprint(w, "          ")
			}
			fmt.Fprintln(w, l)
		}
	}
	block("health", f.Health)
	logs := f.Logs
	if len(logs) > cardLines {
		logs = logs[len(logs)-cardLines:]
	}
	block("said  ", strings.Join(logs, "\n"))
	block("next  ", f.Hint)
}

// exitWords explains the exit codes that have a meaning of their own.
func exitWords(code int) string {
	switch {
	case code == 126:
		return " (the command can't be executed)"
	case code == 127:
		return " (the command isn't there)"
	case code == 137:
		return " (killed)"
	case code == 139:
		return " (segmentation fault)"
	case code == 143:
		return " (ended by SIGTERM)"
	}
	return ""
}
