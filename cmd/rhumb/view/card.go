package view

import (
	"fmt"
	"io"
	"strings"

	"rhumb"
)

// cardLines is how many log lines a failure card shows.
const cardLines = 20

// card prints why a replica failed: the reason, its exit code, the output of its health check, its last lines, and
// what to do next. It counts the other failures in alike.
func card(w io.Writer, p paint, stack string, alike []rhumb.Failure) {
	f := alike[0]
	name := nameOf(stack, f)
	fmt.Fprintf(w, "\n%s %s: %s\n", p.red("✘"), p.bold(name), f.Reason)
	if len(alike) > 1 {
		fmt.Fprintf(w, "  %s  %d times: %s\n", p.dim("again "), len(alike), strings.Join(counted(stack, alike), ", "))
	}
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

// nameOf returns what failed: a replica, a service (its address is taken), or the stack (its network can't be made).
func nameOf(stack string, f rhumb.Failure) string {
	switch {
	case f.Replica != "":
		return f.Replica
	case f.Service == "":
		return stack
	case f.Slot == 0:
		return stack + "/" + f.Service
	}
	return rhumb.ReplicaName(stack, f.Service, f.Release, f.Slot)
}

// counted returns each failed replica once: "shop-web.2.1, shop-web.1.1 (4 times)".
func counted(stack string, alike []rhumb.Failure) []string {
	var names []string
	times := map[string]int{}
	for _, f := range alike {
		name := nameOf(stack, f)
		if times[name]++; times[name] == 1 {
			names = append(names, name)
		}
	}
	for i, name := range names {
		if times[name] > 1 {
			names[i] = fmt.Sprintf("%s (%d times)", name, times[name])
		}
	}
	return names
}

// exitWords explains exit codes with a conventional meaning.
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
