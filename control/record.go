package control

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rhumb"
	"rhumb/rollout"
)

// A failure card holds this many of a replica's last lines, each at most so many bytes long.
const (
	cardLines   = 20
	cardLineMax = 1000
)

// record writes down why a replica failed, while its container can still be asked.
func (r *runner) record(ctx context.Context, g *goal, s rhumb.Step) error {
	rep, ok := g.replica(s.Replica)
	if !ok {
		return nil
	}
	svc, _ := g.definition(rep)
	f := rhumb.Failure{
		At: time.Now(), Service: rep.Service, Slot: rep.Slot, Release: rep.Release, Replica: rep.Name(), ID: rep.ID,
		Reason: s.Why, ExitCode: rep.ExitCode, OOM: rep.OOM, Health: r.ready.Said(rep.ID), Logs: r.lastLines(ctx, rep.ID, cardLines),
	}
	if f.Reason == "" {
		f.Reason = describeEnd(rep)
	}
	f.Hint = hint(rep, svc)
	if run, ok := r.jobRun(ctx, rep, f.Reason); ok {
		r.noteHook(ctx, g, run)
		if svc != nil {
			f.Hint = hookHint(run.Service, svc.Container.Command)
		}
	}
	if err := r.fail(ctx, g, f); err != nil {
		return err
	}
	if g.open == nil && svc != nil && rep.Restarts > 0 {
		if at := rollout.RetryAt(svc, rep); at.After(f.At) {
			text := fmt.Sprintf("crashed %d times in a row; started again in %s", rep.Restarts+1, rhumb.Span(at.Sub(f.At)+time.Second/2))
			r.c.events.Tell(ctx, g.event(rep, rhumb.EventBackoff, text))
		}
	}
	return nil
}

// fail puts a failure into the open deployment, if it is about that, and tells it.
func (r *runner) fail(ctx context.Context, g *goal, f rhumb.Failure) error {
	if g.open != nil && (f.Release == g.open.To || f.Release == g.open.From) {
		_, err := r.c.update(ctx, r.stack, g.open.ID, func(d *rhumb.Deployment) error {
			for _, old := range d.Failures {
				if f.ID != "" && old.ID == f.ID {
					return nil
				}
			}
			if len(d.Failures) < maxFailures {
				d.Failures = append(d.Failures, f)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	e := rhumb.Event{Kind: rhumb.EventFailed, Stack: r.stack, Service: f.Service, Replica: f.Replica, Slot: f.Slot, Release: f.Release, Text: f.Reason, Failure: &f}
	if g.open != nil {
		e.Deployment = g.open.ID
	}
	r.c.events.Tell(ctx, e)
	r.ready.Recorded(f.ID)
	return nil
}

// maxFailures bounds a deployment's record: a service of many slots that all crash tells enough with these.
const maxFailures = 200

// lastLines reads the end of what a replica wrote. That it can't be read is no reason not to record the failure.
func (r *runner) lastLines(ctx context.Context, id string, n int) []string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var lines []string
	for l, err := range r.c.Engine.Logs(ctx, id, rhumb.LogOptions{Tail: n}) {
		if err != nil {
			r.log.Warn("last lines not read", "replica", id, "err", err)
			break
		}
		text := l.Text
		if len(text) > cardLineMax {
			text = text[:cardLineMax] + "…"
		}
		lines = append(lines, strings.ToValidUTF8(text, "?"))
	}
	return lines
}

// describeEnd says how a replica ended.
func describeEnd(rep rhumb.Replica) string {
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

// hint says what to do next about a failed replica. svc may be nil.
func hint(rep rhumb.Replica, svc *rhumb.Service) string {
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
		return fmt.Sprintf("look at the lines above; try it by hand: rhumb run %s", rep.Service)
	case svc == nil:
		return ""
	case svc.Ready.Kind == rhumb.ReadyTCP:
		return fmt.Sprintf("nothing listens on port %d: is it the application's port, and does it listen on 0.0.0.0?", svc.Ready.Port)
	case svc.Ready.Kind == rhumb.ReadyHTTP:
		return fmt.Sprintf("GET %s on port %d must answer with 200 to 399", svc.Ready.Path, svc.Ready.Port)
	case svc.Ready.Kind == rhumb.ReadyHealth:
		return "try the check by hand: rhumb exec " + rep.Service + " " + strings.Join(checkCommand(svc.Container.Health), " ")
	}
	return ""
}

// checkCommand gives a health check as a person would type it.
func checkCommand(h *rhumb.Healthcheck) []string {
	if h == nil || len(h.Test) == 0 {
		return nil
	}
	switch h.Test[0] {
	case "CMD":
		return h.Test[1:]
	case "CMD-SHELL":
		return []string{"sh", "-c", fmt.Sprintf("%q", strings.Join(h.Test[1:], " "))}
	}
	return h.Test
}
