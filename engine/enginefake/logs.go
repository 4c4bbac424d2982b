package enginefake

import (
	"context"
	"iter"
	"strings"
	"time"

	"rhumb"
)

// logs are what replicas wrote.
type logs struct{ *state }

// Logs yields the lines of the replica's behaviour, one per microsecond from its start.
func (ls *logs) Logs(ctx context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		if err := ls.enter(ctx, "Logs"); err != nil {
			yield(rhumb.LogLine{}, err)
			return
		}
		r := ls.byID(id)
		if r == nil {
			ls.mu.Unlock()
			yield(rhumb.LogLine{}, rhumb.Errorf(rhumb.NotFound, "replica %s: is not there", id))
			return
		}
		lines := r.lines(o)
		ls.mu.Unlock()
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
		if o.Follow {
			ls.untilEnd(ctx, id)
		}
	}
}

// lines returns the replica's lines that the options select.
func (r *replica) lines(o rhumb.LogOptions) []rhumb.LogLine {
	var lines []rhumb.LogLine
	for i, text := range r.behaviour.Output {
		at := r.base.Started.Add(time.Duration(i) * time.Microsecond)
		if !o.Since.IsZero() && at.Before(o.Since) || !o.Until.IsZero() && at.After(o.Until) {
			continue
		}
		text, stderr := strings.CutPrefix(text, "!")
		lines = append(lines, rhumb.LogLine{Time: at, Stack: r.base.Stack, Service: r.base.Service, Replica: r.name,
			Stderr: stderr, Text: text})
	}
	switch {
	case o.Tail < 0:
		return nil
	case o.Tail > 0:
		return lines[max(0, len(lines)-o.Tail):]
	}
	return lines
}

// untilEnd waits until a replica ends, is gone, or ctx or the engine is.
func (ls *logs) untilEnd(ctx context.Context, id string) {
	for {
		ls.mu.Lock()
		now, changed, away := ls.now(), ls.changed, ls.away
		r, wait := ls.byID(id), time.Hour
		alive := false
		if r != nil {
			view := r.at(now)
			alive = view.Alive()
			if at := r.next(now); !at.IsZero() {
				wait = at.Sub(now)
			}
		}
		ls.mu.Unlock()
		if !alive || away {
			return
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}
