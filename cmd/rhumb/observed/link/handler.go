// Package link is both ends of the socket between the daemon and the process that keeps logs and measures. It carries
// what that process offers as the API does, and what only the daemon asks for.
package link

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"time"

	"rhumb"
	"rhumb/httpapi"
	"rhumb/httpapi/wire"
)

// drainedTime is after what time a caller of Drained learns that the process is still busy with it.
const drainedTime = time.Second

// Status describes the process that keeps logs.
type Status struct {
	PID     int
	Version string
}

// MaxObserving is the largest request of what all stacks ask for, in bytes.
const MaxObserving = 16 << 20

// Keeper is what the process that keeps logs offers to the daemon. What is nil isn't offered.
type Keeper struct {
	Version    string
	Observer   rhumb.Observer
	Forwarding rhumb.LogForwarding
	Metrics    rhumb.Metrics
	Alerts     rhumb.Alerts
	Explainer  rhumb.Explainer
	Dashboard  rhumb.Dashboard
	// Drained returns once all that a dead container wrote is taken, or ctx ends. NotFound: it doesn't know the container.
	Drained func(ctx context.Context, container string) error
	// Observe sets what stacks ask for, by name; that of other stacks stays.
	Observe func(asked map[string]rhumb.Observing) error
	Log     *slog.Logger
}

// The paths of what only the daemon asks for.
const (
	statusPath    = "/daemon/status"
	drainedPath   = "/daemon/drained/" // and the container's ID
	observingPath = "/daemon/observing"
)

// Handler returns the handler of the socket.
func Handler(k Keeper) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", withoutActor(httpapi.New(httpapi.Services{Observer: k.Observer, Forwarding: k.Forwarding,
		Metrics: k.Metrics, Alerts: k.Alerts, Explainer: k.Explainer, Dashboard: k.Dashboard}, k.Log)))
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		k.answer(w, Status{PID: os.Getpid(), Version: k.Version}, nil)
	})
	mux.HandleFunc("POST "+drainedPath+"{container}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), drainedTime)
		defer cancel()
		k.answer(w, struct{}{}, k.Drained(ctx, r.PathValue("container")))
	})
	mux.HandleFunc("PUT "+observingPath, func(w http.ResponseWriter, r *http.Request) {
		var asked map[string]rhumb.Observing
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, MaxObserving)).Decode(&asked); err != nil {
			k.answer(w, nil, rhumb.Errorf(rhumb.Invalid, "what the stacks ask for can't be read: %w", err))
			return
		}
		k.answer(w, struct{}{}, k.Observe(asked))
	})
	return mux
}

// withoutActor drops the user at the other end of the socket, which is always the daemon's. The daemon says who asks.
func withoutActor(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(rhumb.WithActor(r.Context(), rhumb.Actor{})))
	})
}

// answer writes a value or an error. The daemon may have gone, so a failed write is no error.
func (k Keeper) answer(w http.ResponseWriter, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		if wire.Foreign(err) {
			k.Log.Error("request of the daemon failed", "err", err)
		}
		p := wire.NewProblem(err)
		w.WriteHeader(wire.Status(p.Code))
		value = p
	}
	_ = json.NewEncoder(w).Encode(value)
}
