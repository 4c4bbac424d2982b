package proxy

import (
	"context"
	"log/slog"
	"time"

	"rhumb"
)

// WAF is what the proxy needs of the room that looks at requests for attacks.
type WAF interface {
	// Run lets requests be looked at while that is needed, until ctx ends. It is called once.
	Run(ctx context.Context) error
	// Need has requests looked at, or not any more. It returns once they can be, after one try, or when ctx ends.
	Need(ctx context.Context, needed bool)
	// Inspect looks at a request. Unavailable: nothing can do that, or it takes too long.
	Inspect(ctx context.Context, i *rhumb.Inspection) (rhumb.Finding, error)
}

// wafTime is how long a table waits until its requests can be looked at. It is then served anyway: what its routes say
// about requests that can't be looked at holds.
const wafTime = 5 * time.Second

func runWAF(ctx context.Context, w WAF, log *slog.Logger) {
	if err := w.Run(ctx); err != nil {
		log.Error("nothing looks at requests any more", "err", err)
	}
}

// needWAF has requests looked at if the table asks for it.
func needWAF(ctx context.Context, w WAF, t rhumb.Table) {
	ctx, cancel := context.WithTimeout(ctx, wafTime)
	defer cancel()
	w.Need(ctx, t.HasWAF())
}

// awaitWAF has requests looked at if the table on disk asks for it, which the old proxy serves too.
func awaitWAF(ctx context.Context, w WAF, saved tableFile) {
	if t, err := saved.Load(); err == nil && t.HasWAF() {
		needWAF(ctx, w, t)
	}
}

// noWAF looks at nothing.
type noWAF struct{}

func (noWAF) Run(context.Context) error { return nil }

func (noWAF) Need(context.Context, bool) {}

func (noWAF) Inspect(context.Context, *rhumb.Inspection) (rhumb.Finding, error) {
	return rhumb.Finding{}, rhumb.Errorf(rhumb.Unavailable, "nothing here looks at requests")
}
