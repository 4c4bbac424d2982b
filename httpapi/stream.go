package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"rhumb/httpapi/wire"
)

// streamAnswer is an answer that is written piece by piece.
type streamAnswer struct {
	Body func(huma.Context)
}

// stream registers an operation whose answer is lines of JSON. do sends items and returns the last one, or an error. An
// error before the first item has its HTTP status; a later one is the last line.
func stream[I any](
	a *api, o huma.Operation, do func(ctx context.Context, in *I, send func(wire.Item) error) (wire.Item, error),
) {
	o.Responses = a.streamResponse()
	huma.Register(a.huma, o, func(_ context.Context, in *I) (*streamAnswer, error) {
		return &streamAnswer{func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			a.stream(w, r, o.OperationID, func(ctx context.Context, send func(wire.Item) error) (wire.Item, error) {
				return do(ctx, in, send)
			})
		}}, nil
	})
}

func (a *api) streamResponse() map[string]*huma.Response {
	schema := a.huma.OpenAPI().Components.Schemas.Schema(itemType, true, "Item")
	return map[string]*huma.Response{"200": {
		Description: "lines of JSON, one item a line; empty lines mean that the stream is alive",
		Content:     map[string]*huma.MediaType{wire.NDJSON: {Schema: schema}},
	}}
}

func (a *api) stream(w http.ResponseWriter, r *http.Request, operation string,
	do func(context.Context, func(wire.Item) error) (wire.Item, error)) {
	ctx, cancel := context.WithCancel(r.Context())
	lw := &lines{w: w, rc: http.NewResponseController(w)}
	var beating sync.WaitGroup
	beating.Go(func() { lw.beat(ctx) })
	last, err := do(ctx, lw.send)
	cancel()
	beating.Wait() // before the answer ends
	if err != nil {
		e := a.failed(r.Context(), operation, err)
		if !lw.begun {
			refuse(w, e.Err())
			return
		}
		last = wire.Item{Error: &e.Problem}
	}
	_ = lw.send(last) // if it can't be sent, the client has gone
}

// lines writes the lines of a stream.
type lines struct {
	mu    sync.Mutex
	w     http.ResponseWriter
	rc    *http.ResponseController
	begun bool
}

func (l *lines) send(it wire.Item) error {
	b, err := json.Marshal(it)
	if err != nil {
		return err
	}
	return l.write(append(b, '\n'))
}

func (l *lines) write(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", wire.NDJSON)
		l.w.Header().Set("Cache-Control", "no-store")
		l.w.WriteHeader(http.StatusOK)
	}
	if _, err := l.w.Write(b); err != nil {
		return err
	}
	return l.rc.Flush()
}

// beat sends an empty line every wire.Beat until ctx ends.
func (l *lines) beat(ctx context.Context) {
	t := time.NewTicker(wire.Beat)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			_ = l.write([]byte("\n")) // send finds out when the client has gone
		}
	}
}
