// Package link is both ends of the socket between the daemon and the process that keeps logs. It carries kept logs as
// the API does, and what only the daemon asks for.
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

// Keeper is what the process that keeps logs offers to the daemon.
type Keeper struct {
	Version    string
	Observer   rhumb.Observer
	Forwarding rhumb.LogForwarding
	// Drained returns once all that a dead container wrote is taken, or ctx ends. NotFound: it doesn't know the container.
	Drained func(ctx context.Context, container string) error
	// Limit sets the limits of stacks, by name; those of other stacks stay.
	Limit func(limits map[string]rhumb.LogLimits) error
	Log   *slog.Logger
}

// The paths of what only the daemon asks for.
const (
	statusPath  = "/daemon/status"
	drainedPath = "/daemon/drained/" // and the container's ID
	limitsPath  = "/daemon/limits"
)

// Handler returns the handler of the socket.
func Handler(k Keeper) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/", httpapi.New(httpapi.Services{Observer: k.Observer, Forwarding: k.Forwarding}, k.Log))
	mux.HandleFunc("GET "+statusPath, func(w http.ResponseWriter, _ *http.Request) {
		k.answer(w, Status{PID: os.Getpid(), Version: k.Version}, nil)
	})
	mux.HandleFunc("POST "+drainedPath+"{container}", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), drainedTime)
		defer cancel()
		k.answer(w, struct{}{}, k.Drained(ctx, r.PathValue("container")))
	})
	mux.HandleFunc("PUT "+limitsPath, func(w http.ResponseWriter, r *http.Request) {
		var limits map[string]rhumb.LogLimits
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, wire.MaxSmall)).Decode(&limits); err != nil {
			k.answer(w, nil, rhumb.Errorf(rhumb.Invalid, "the limits can't be read: %w", err))
			return
		}
		k.answer(w, struct{}{}, k.Limit(limits))
	})
	return mux
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
