package proxy

import (
	"context"
	"time"

	"rhumb"
)

// WAF is what the proxy needs of the room that looks at requests for attacks.
type WAF interface {
	// Run lets requests be looked at while that is needed, until ctx ends. It is called once.
	Run(ctx context.Context) error
	// Need says whether requests must be looked at. It returns once they can be, after one try, or when ctx ends.
	Need(ctx context.Context, needed bool)
	// Inspect looks at a request. Unavailable: nothing can do that, or it takes too long.
	Inspect(ctx context.Context, i *rhumb.Inspection) (rhumb.Finding, error)
}

// wafTime is how long a table waits until its requests can be looked at. It is then served anyway: what its routes say
// about requests that can't be looked at holds.
const wafTime = 5 * time.Second

// needWAF has requests looked at if the table asks for it.
func (p *Proxy) needWAF(ctx context.Context, t rhumb.Table) {
	ctx, cancel := context.WithTimeout(ctx, wafTime)
	defer cancel()
	p.options.WAF.Need(ctx, t.HasWAF())
}

// awaitWAF has requests looked at if the table on disk asks for it, which the old proxy serves too.
func (p *Proxy) awaitWAF(ctx context.Context) {
	if t, err := p.saved.Load(); err == nil && t.HasWAF() {
		p.needWAF(ctx, t)
	}
}

// noWAF looks at nothing.
type noWAF struct{}

func (noWAF) Run(context.Context) error { return nil }

func (noWAF) Need(context.Context, bool) {}

func (noWAF) Inspect(context.Context, *rhumb.Inspection) (rhumb.Finding, error) {
	return rhumb.Finding{}, rhumb.Errorf(rhumb.Unavailable, "nothing here looks at requests")
}
