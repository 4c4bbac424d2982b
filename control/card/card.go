// Package card writes the texts that people read about a failure or a hook: its reason, its last lines, and what to do
// next.
package card

import (
	"fmt"
	"strings"
	"unicode"

	"rhumb"
)

// A failure card holds this many of a replica's last lines, each at most so many bytes long.
const (
	Lines   = 20
	lineMax = 1000
)

// End describes how a replica ended, or its state if it has not.
func End(rep rhumb.Replica) string {
	switch {
	case rep.Error != "":
		return "could not be started: " + rep.Error
	case rep.OOM:
		return "killed: out of memory"
	case rep.State == rhumb.StateExited:
		return fmt.Sprintf("exited with %d", rep.ExitCode)
	case rep.Health == rhumb.HealthUnhealthy:
		return "unhealthy"
	default:
		return string(rep.State)
	}
}

// Hint says what to do next about a failed replica. svc may be nil.
func Hint(rep rhumb.Replica, svc *rhumb.Service) string {
	switch {
	case rep.OOM:
		return "raise deploy.resources.limits.memory (or mem_limit), or have the application use less"
	case rep.State == rhumb.StateExited && rep.ExitCode == 127, strings.Contains(rep.Error, "not found"):
		return "the command isn't in the image: look at command: and entrypoint:"
	case rep.State == rhumb.StateExited && rep.ExitCode == 126:
		return "the command is in the image but can't be executed: look at its permissions"
	case rep.State == rhumb.StateExited && rep.ExitCode == 137:
		return "it was killed (SIGKILL): by hand, or for its memory"
	case rep.State == rhumb.StateExited && rep.Slot > 0:
		return "look at the lines above" + byHand(rep, svc)
	case svc == nil:
		return ""
	case svc.Ready.Kind == rhumb.ReadyTCP, svc.Ready.Kind == rhumb.ReadyExposed:
		return "have the application listen on 0.0.0.0 and on the port that ports: and expose: name; " +
			"if it only takes longer, raise x-rhumb.ready.timeout"
	case svc.Ready.Kind == rhumb.ReadyAnswer:
		const words = "GET %s on port %d must answer below 500; " +
			"a healthcheck, or x-rhumb.ready.http, can ask something else"
		return fmt.Sprintf(words, svc.Ready.Path, svc.Ready.Port)
	case svc.Ready.Kind == rhumb.ReadyHTTP:
		return fmt.Sprintf("GET %s on port %d must answer with 200 to 399", svc.Ready.Path, svc.Ready.Port)
	case svc.Ready.Kind == rhumb.ReadyHealth:
		return "its health check is: " + quoted(checkCommand(svc.Container.Health)) + byHand(rep, svc)
	}
	return ""
}

// Lacking says that a service may not have been ready when a service that depends on it failed, and how to have that
// one wait for it. said is the output of the last check; "": none.
func Lacking(service string, on *rhumb.Service, said string) string {
	wait := fmt.Sprintf("have %s wait for it: depends_on: {%s: {condition: service_healthy}}", service, on.Name)
	switch {
	case on.Ready.Kind == rhumb.ReadyRunning:
		const words = "%s may not have been ready: nothing checks it; give it a healthcheck, and %s"
		return fmt.Sprintf(words, on.Name, wait)
	case said != "":
		return fmt.Sprintf("%s was not ready (%s); %s", on.Name, said, wait)
	}
	return fmt.Sprintf("%s was not ready; %s", on.Name, wait)
}

// byHand says how to start a replica's service by hand, in the replica's release, which need not be the one that
// serves. It is empty for a service that shares a namespace, because a container started by hand can't join it.
func byHand(rep rhumb.Replica, svc *rhumb.Service) string {
	if svc == nil || len(svc.Container.Joins()) > 0 {
		return ""
	}
	return "; start it by hand: " + runCommand(rep.Stack, rep.Release, rep.Service, nil)
}

// runCommand returns the command line that runs a service of a release by hand, with its own command if command is
// empty.
func runCommand(stack string, release int, service string, command []string) string {
	line := fmt.Sprintf("rhumb run -p %s --release %d %s", stack, release, service)
	if len(command) > 0 {
		line += " " + quoted(command)
	}
	return line
}

// checkCommand returns the command of a health check. Docker appends all words of a CMD-SHELL check to "sh -c": the
// first word is the command line, the others are its $0, $1 and so on.
func checkCommand(h *rhumb.Healthcheck) []string {
	if h == nil || len(h.Test) == 0 {
		return nil
	}
	switch h.Test[0] {
	case "CMD":
		return h.Test[1:]
	case "CMD-SHELL":
		return append([]string{"sh", "-c"}, h.Test[1:]...)
	}
	return h.Test
}

// HookHint says what to do next about a hook that failed, with the command that runs it by hand. The service is that of
// the hook's own container, such as "web.pre_start.1", or the one in whose replicas the hook's command runs.
func HookHint(stack string, release int, service string, command []string) string {
	if _, _, alone := rhumb.HookOf(service); !alone && len(command) == 0 {
		return ""
	}
	return "look at the lines above; run it by hand: " + runCommand(stack, release, service, command)
}

// quoted returns a command as a user would type it: each word that a shell would split or expand is quoted.
func quoted(command []string) string {
	words := make([]string, len(command))
	for i, w := range command {
		if words[i] = w; w == "" || strings.ContainsFunc(w, special) {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

// special reports whether a character may have a meaning of its own in a shell.
func special(r rune) bool {
	plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r > unicode.MaxASCII
	return !plain && !strings.ContainsRune("@%+=:,./_-", r)
}
