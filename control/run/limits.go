package run

import (
	"context"
	"fmt"

	"rhumb"
	"rhumb/control/scene"
)

// limits announces when the limits of a service begin to refuse and when they have ended to, and when they only observe
// because nearly all of its clients share an address. The proxy sees to it that this can't happen often. What a limit
// did before the daemon started is announced only if it goes on.
func (a *announcer) limits(ctx context.Context, s *scene.Scene) {
	next := map[string]rhumb.LimitStats{}
	for _, b := range s.Router.Table.Backends {
		now := s.Router.Backends[b.Name].Limits
		if b.Stack != a.stack || now == nil {
			continue
		}
		was := a.limited[b.Name]
		next[b.Name] = *now
		say := func(kind rhumb.EventKind, format string, args ...any) {
			a.send(ctx, s.Event(rhumb.Replica{Stack: a.stack, Service: b.Service}, kind, fmt.Sprintf(format, args...)))
		}
		switch {
		case was.Since.IsZero() && !now.Since.IsZero():
			say(rhumb.EventLimits, "limits refuse what clients send too much of")
		case !was.Since.IsZero() && now.Since.IsZero():
			say(rhumb.EventLimits, "limits refuse no more; %d were refused so far", now.Refused)
		}
		switch {
		case was.Shared != now.Shared && now.Shared != "":
			say(rhumb.EventWarning, "limits by client only observe: nearly all clients seem to come from %s; "+
				"rhumb doctor says what to do", now.Shared)
		case was.Shared != now.Shared:
			say(rhumb.EventLimits, "limits by client are enforced again: clients share no address")
		}
	}
	a.limited = next
}
