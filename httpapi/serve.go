package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"rhumb"
	"rhumb/httpapi/wire"
)

// errStopping is why requests end that are under way when the server stops.
var errStopping = rhumb.Errorf(rhumb.Unavailable, "the server is stopping")

// readStall is how long a request's body may pause.
const readStall = 30 * time.Second

// Serve serves h on ln until ctx ends. Then it ends streams, lets other requests finish for a few seconds, and returns
// nil. The context of a request over a unix socket has its user: rhumb.ActorOf.
func Serve(ctx context.Context, ln net.Listener, h http.Handler, log *slog.Logger) error {
	requests, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	var open sync.WaitGroup // Shutdown doesn't wait for upgraded connections
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			open.Add(1)
			defer open.Done()
			h.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withActor,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	stop(errStopping) // ends streams, which Shutdown would wait for
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		_ = srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	open.Wait()
	return nil
}

// deadlines sets a deadline for every read of a request's body and every write of an answer. A long stream lives on,
// and a dead peer is noticed.
func deadlines(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		r = r.WithContext(r.Context()) // a copy: the server looks at its own request's body to see whether it was read
		r.Body = &timedBody{r.Body, rc}
		pw := &timedWriter{w, rc}
		defer func() { _ = rc.SetWriteDeadline(time.Time{}) }() // fails for an upgraded connection, which has none
		h.ServeHTTP(pw, r)
	})
}

type timedBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read sets a deadline for itself and clears it again. Otherwise it would end the request's context later.
func (b *timedBody) Read(p []byte) (int, error) {
	if err := b.rc.SetReadDeadline(time.Now().Add(readStall)); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	if clear := b.rc.SetReadDeadline(time.Time{}); err == nil {
		err = clear
	}
	return n, err
}

type timedWriter struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func (w *timedWriter) Write(p []byte) (int, error) {
	if err := w.rc.SetWriteDeadline(time.Now().Add(wire.Stall)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find flushing and hijacking.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// refuse writes an error as the answer.
func refuse(w http.ResponseWriter, err error) {
	p := wire.NewProblem(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(wire.Status(p.Code))
	_ = json.NewEncoder(w).Encode(p) // a client that has gone needs no answer
}

// sameName returns Invalid if a request's path and body name different stacks.
func sameName(path, body string) error {
	if path != body {
		return rhumb.Errorf(rhumb.Invalid, "the path names the stack %q, the request %q", path, body)
	}
	return nil
}
