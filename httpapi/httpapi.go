// Package httpapi puts the interfaces of rhumb.Server on the wire: JSON over HTTP, described by the OpenAPI document at
// /openapi.json. Streams are lines of JSON; exec and run upgrade the connection to frames. The other end is
// httpapi/client.
package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"rhumb"
	"rhumb/httpapi/wire"
)

// Version is the API's version. It is in the OpenAPI document, and every path begins with it.
const Version = "v1"

// Services are what a server offers, each behind an interface of its own. A nil one is not offered: it is not in the
// OpenAPI document, and calls to it return Unsupported.
type Services struct {
	Deployer   rhumb.Deployer
	Stacks     rhumb.Stacks
	History    rhumb.History
	Traffic    rhumb.Traffic
	Insides    rhumb.Insides
	Values     rhumb.Values
	Builder    rhumb.Builder
	Observer   rhumb.Observer
	Forwarding rhumb.LogForwarding
	Metrics    rhumb.Metrics
	Alerts     rhumb.Alerts
	Explainer  rhumb.Explainer
	Dashboard  rhumb.Dashboard
	Bans       rhumb.BanBook
}

// All returns the services of a server that offers all that rhumb.Server has.
func All(s rhumb.Server) Services {
	return Services{Deployer: s, Stacks: s, History: s, Traffic: s, Insides: s, Values: s, Builder: s}
}

// set is the operations of one service.
type set struct {
	what     string // the service, for people: "this server doesn't offer" it
	offered  bool
	register func(*api)
}

func (s Services) sets() []set {
	return []set{
		{"deployments", s.Deployer != nil, func(a *api) { a.deployer(s.Deployer) }},
		{"the state of stacks", s.Stacks != nil, func(a *api) { a.stacks(s.Stacks) }},
		{"a history", s.History != nil, func(a *api) { a.history(s.History) }},
		{"routes and certificates", s.Traffic != nil, func(a *api) { a.traffic(s.Traffic) }},
		{"logs and commands of replicas", s.Insides != nil, func(a *api) { a.insides(s.Insides) }},
		{"kept values", s.Values != nil, func(a *api) { a.values(s.Values) }},
		{"builds", s.Builder != nil, func(a *api) { a.builder(s.Builder) }},
		{"kept logs", s.Observer != nil, func(a *api) { a.observer(s.Observer) }},
		{"the forwarding of logs", s.Forwarding != nil, func(a *api) { a.forwarding(s.Forwarding) }},
		{"metrics", s.Metrics != nil, func(a *api) { a.metrics(s.Metrics) }},
		{"alerts", s.Alerts != nil, func(a *api) { a.alerts(s.Alerts) }},
		{"explanations", s.Explainer != nil, func(a *api) { a.explainer(s.Explainer) }},
		{"a dashboard", s.Dashboard != nil, func(a *api) { a.dashboard(s.Dashboard) }},
		{"bans", s.Bans != nil, func(a *api) { a.bans(s.Bans) }},
	}
}

// New returns the handler of the API. The text of errors that are not rhumb's own goes to the log and not to the
// caller.
func New(s Services, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	a := newAPI(mux, log)
	var absent []set
	for _, set := range s.sets() {
		if set.offered {
			set.register(a)
		} else {
			absent = append(absent, set)
		}
	}
	a.allowEmptyBytes()
	mux.Handle("/", nothing(absent, log))
	return deadlines(mux)
}

// newAPI returns an API without operations, whose handlers are in mux.
func newAPI(mux *http.ServeMux, log *slog.Logger) *api {
	conf := huma.DefaultConfig("rhumb", Version)
	conf.CreateHooks = nil // no $schema fields in answers: both ends speak the domain's own types
	conf.DocsPath = ""     // that page would load scripts from strangers
	conf.Formats = formats()
	conf.SchemasPath = ""
	conf.Info.Description = "A Compose file goes in, and the system on your servers is brought to it and held there."
	return &api{log: log, huma: humago.New(mux, conf)}
}

// nothing returns the handler for what the API doesn't have. The paths of absent sets are Unsupported, all others
// NotFound.
func nothing(absent []set, log *slog.Logger) http.Handler {
	whats, muxes := make([]string, len(absent)), make([]*http.ServeMux, len(absent))
	for i, set := range absent {
		mux := http.NewServeMux() // only finds out whether a path is the set's; nothing is served from it
		set.register(newAPI(mux, log))
		whats[i], muxes[i] = set.what, mux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for i, mux := range muxes {
			if _, pattern := mux.Handler(r); pattern != "" && strings.Contains(pattern, "/"+Version+"/") {
				refuse(w, rhumb.Errorf(rhumb.Unsupported, "this server doesn't offer %s", whats[i]))
				return
			}
		}
		refuse(w, rhumb.Errorf(rhumb.NotFound, "the API has nothing at %s %s", r.Method, r.URL.Path).
			WithHint("/openapi.json lists everything there is; a newer client may ask for more than an older server has"))
	})
}

type api struct {
	log  *slog.Logger
	huma huma.API
}

// answer is a reply with a JSON body.
type answer[T any] struct{ Body T }

// StackPath names the stack in a path. It is exported because huma fills only exported fields, embedded ones too.
type StackPath struct {
	Stack string `path:"stack" doc:"the stack's name"`
}

// op describes an operation. Its request is limited to MaxSmall.
func op(id, method, path, summary string) huma.Operation {
	return huma.Operation{
		OperationID: id, Method: method, Path: "/" + Version + path, Summary: summary,
		MaxBodyBytes: wire.MaxSmall, BodyReadTimeout: -1, // the deadlines are set by deadlines
		Errors: []int{http.StatusBadRequest, http.StatusNotFound, http.StatusServiceUnavailable},
	}
}

// handle registers an operation whose answer is JSON.
func handle[I, O any](a *api, o huma.Operation, do func(context.Context, *I) (O, error)) {
	huma.Register(a.huma, o, func(ctx context.Context, in *I) (*answer[O], error) {
		out, err := do(ctx, in)
		if err != nil {
			return nil, a.failed(ctx, o.OperationID, err)
		}
		return &answer[O]{out}, nil
	})
}

// act registers an operation whose answer has no body.
func act[I any](a *api, o huma.Operation, do func(context.Context, *I) error) {
	o.DefaultStatus = http.StatusNoContent
	huma.Register(a.huma, o, func(ctx context.Context, in *I) (*struct{}, error) {
		if err := do(ctx, in); err != nil {
			return nil, a.failed(ctx, o.OperationID, err)
		}
		return nil, nil
	})
}

// failed returns the answer for an error, and logs what the caller must not see.
func (a *api) failed(ctx context.Context, operation string, err error) *statusError {
	a.note(ctx, operation, err)
	if isContext(err) && context.Cause(ctx) == error(errStopping) {
		err = errStopping // the caller didn't cancel it
	}
	p := wire.NewProblem(err)
	return &statusError{Problem: p, status: wire.Status(p.Code)}
}

// note logs an error whose cause the caller must not see.
func (a *api) note(ctx context.Context, operation string, err error) {
	if code := rhumb.ErrorCode(err); wire.Foreign(err) || code == rhumb.Internal && ctx.Err() == nil && !isContext(err) {
		a.log.Error("request failed", "operation", operation, "err", err)
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

// timeOf parses a time from a query; "" is the zero time.
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
