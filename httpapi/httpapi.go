// Package httpapi puts rhumb.Server on the wire: JSON over HTTP, described by the OpenAPI document at /openapi.json.
// Streams are lines of JSON; exec and run upgrade the connection to frames. The other end is httpapi/client.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"rhumb"
	"rhumb/httpapi/wire"
)

// Version is the API's version, as the OpenAPI document gives it and as paths begin with it.
const Version = "v1"

// New gives the handler that answers for s. Errors that aren't rhumb's own are logged and told to nobody.
func New(s rhumb.Server, log *slog.Logger) http.Handler {
	conf := huma.DefaultConfig("rhumb", Version)
	conf.CreateHooks = nil // no $schema fields in answers: both ends speak the domain's own types
	conf.DocsPath = ""     // that page would load scripts from strangers
	conf.Formats = formats()
	conf.SchemasPath = ""
	conf.Info.Description = "A Compose file goes in, and the system on your servers is brought to it and held there."
	mux := http.NewServeMux()
	a := &api{s: s, log: log, huma: humago.New(mux, conf)}
	a.deployer()
	a.inspector()
	a.operator()
	a.builder()
	a.allowEmptyBytes()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, rhumb.Errorf(rhumb.NotFound, "the API has nothing at %s %s", r.Method, r.URL.Path).
			WithHint("/openapi.json lists all that there is; a newer client may ask for more than an older server has"))
	})
	return deadlines(mux)
}

type api struct {
	s    rhumb.Server
	log  *slog.Logger
	huma huma.API
}

// answer is a reply with a JSON body.
type answer[T any] struct{ Body T }

// StackPath names the stack in a path. It is exported because huma fills only exported fields, embedded ones too.
type StackPath struct {
	Stack string `path:"stack" doc:"the stack's name"`
}

// op describes an operation: its name, method, path, and what it does. Its request is limited to MaxSmall.
func op(id, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: "/" + Version + path, Summary: summary,
		MaxBodyBytes: wire.MaxSmall, BodyReadTimeout: -1, // the deadlines are set by deadlines
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable},
	}
}

// handle registers an operation that answers with JSON.
func handle[I, O any](a *api, o huma.Operation, do func(context.Context, *I) (O, error)) {
	huma.Register(a.huma, o, func(ctx context.Context, in *I) (*answer[O], error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, a.failed(ctx, o.OperationID, err)
		}
		return &answer[O]{out}, nil
	})
}

// act registers an operation that has nothing to answer.
func act[I any](a *api, o huma.Operation, do func(context.Context, *I) error) {
	o.DefaultStatus = http.StatusNoContent
	huma.Register(a.huma, o, func(ctx context.Context, in *I) (*struct{}, error) {
		if err := do(ctx, in); err != nil {
			return nil, a.failed(ctx, o.OperationID, err)
		}
		return nil, nil
	})
}

// failed makes the answer for an error, and logs what must not be told.
func (a *api) failed(ctx context.Context, operation string, err error) *statusError {
	a.note(ctx, operation, err)
	if isContext(err) && context.Cause(ctx) == error(errStopping) {
		err = errStopping // it wasn't the caller who cancelled
	}
	p := wire.NewProblem(err)
	return &statusError{Problem: p, status: wire.Status(p.Code)}
}

// note logs an error whose cause is told to nobody.
func (a *api) note(ctx context.Context, operation string, err error) {
	if code := rhumb.ErrorCode(err); wire.Foreign(err) || code == rhumb.Internal && ctx.Err() == nil && !isContext(err) {
		a.log.Error("request failed", "operation", operation, "error", err)
	}
}

func isContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// statusError is a Problem with its HTTP status, as huma wants it.
type statusError struct {
	wire.Problem
	status int
}

func (e *statusError) Error() string  { return e.Msg }
func (e *statusError) GetStatus() int { return e.status }

// timeOf reads a time of a query; "" is none.
func timeOf(s, name string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return t, rhumb.Errorf(rhumb.Invalid, "%s: %q is not a time", name, s).WithHint("write it as 2026-01-02T15:04:05Z")
	}
	return t, nil
}
