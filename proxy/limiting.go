package proxy

import (
	"context"
	"log/slog"
	"time"

	"rhumb"
)

// limitWatch logs when the limits of a backend begin to refuse and when they have ended to, and when they only observe
// because nearly all clients share an address. A refusal is followed by a minute in which they count as refusing
// (rate.Spell), so no client can fill the log.
type limitWatch struct {
	log   *slog.Logger
	known map[string]rhumb.LimitStats // by backend
}

// run looks once a second until ctx ends.
func (w *limitWatch) run(ctx context.Context, stats func() map[string]*rhumb.LimitStats) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.look(stats())
		case <-ctx.Done():
			return
		}
	}
}

// look logs what is new.
func (w *limitWatch) look(stats map[string]*rhumb.LimitStats) {
	next := make(map[string]rhumb.LimitStats, len(stats))
	for backend, now := range stats {
		was := w.known[backend]
		next[backend] = *now
		switch {
		case was.Since.IsZero() && !now.Since.IsZero():
			w.log.Warn("limits refuse", "backend", backend)
		case !was.Since.IsZero() && now.Since.IsZero():
			w.log.Info("limits refuse no more", "backend", backend, "refused", now.Refused)
		}
		switch {
		case was.Shared != now.Shared && now.Shared != "":
			w.log.Warn("limits by client only observe, because nearly all clients share an address", "backend", backend,
				"address", now.Shared)
		case was.Shared != now.Shared:
			w.log.Info("clients share no address", "backend", backend)
		}
	}
	w.known = next
}
