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

// errStopping ends requests that are under way when the server stops.
var errStopping = rhumb.Errorf(rhumb.Unavailable, "the server is stopping")

// readStall is how long a request's body may pause.
const readStall = 30 * time.Second

// Serve answers on ln until ctx ends. Then streams end, other requests get a few seconds to finish, and it returns nil.
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
	stop(errStopping) // streams last as long as their request: they must end before Shutdown waits for them
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

// deadlines gives every read of a request's body and every write of an answer a deadline of its own, so that a long
// stream lives and a dead peer does not.
func deadlines(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rc := http.NewResponseController(w)
		r = r.WithContext(r.Context()) // a copy: the server looks at its own request's body to see whether it was read
		r.Body = &patientBody{r.Body, rc}
		pw := &patientWriter{w, rc}
		defer func() { _ = rc.SetWriteDeadline(time.Time{}) }() // an upgraded connection has none to set
		h.ServeHTTP(pw, r)
	})
}

type patientBody struct {
	io.ReadCloser
	rc *http.ResponseController
}

// Read sets the deadline only for itself: one that is left behind would end the request's context when it passes.
func (b *patientBody) Read(p []byte) (int, error) {
	if err := b.rc.SetReadDeadline(time.Now().Add(readStall)); err != nil {
		return 0, err
	}
	n, err := b.ReadCloser.Read(p)
	if clear := b.rc.SetReadDeadline(time.Time{}); err == nil {
		err = clear
	}
	return n, err
}

type patientWriter struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func (w *patientWriter) Write(p []byte) (int, error) {
	if err := w.rc.SetWriteDeadline(time.Now().Add(wire.Stall)); err != nil {
		return 0, err
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find flushing and hijacking.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// refuse answers with an error.
func refuse(w http.ResponseWriter, err error) {
	p := wire.NewProblem(err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(wire.Status(p.Code))
	_ = json.NewEncoder(w).Encode(p) // one who is gone needs no answer
}

// sameName refuses a request whose body speaks of another stack than its path.
func sameName(path, body string) error {
	if path != body {
		return rhumb.Errorf(rhumb.Invalid, "the path names the stack %q, the request %q", path, body)
	}
	return nil
}
