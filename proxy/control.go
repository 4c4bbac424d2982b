package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"rhumb"
	"rhumb/proxy/internal/table"
)

// wireError is a rhumb.Error on the control socket.
type wireError struct {
	Code rhumb.Code `json:"code"`
	Msg  string     `json:"msg"`
	Hint string     `json:"hint,omitempty"`
}

// maxAnswer bounds what a client of the control socket reads.
const maxAnswer = 2 * table.MaxBytes

// controlSocket is the control socket under its temporary name, until publish.
type controlSocket struct {
	*net.UnixListener
	path, tmp string
}

// listenControl binds the control socket, for its owner alone, under a temporary name.
func listenControl(path string) (*controlSocket, error) {
	tmp := path + "." + strconv.Itoa(os.Getpid())
	os.Remove(tmp) // of an earlier process with our number
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: tmp, Net: "unix"})
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Conflict, "control socket %s can't be made: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // the name may be a successor's by then
	if err := os.Chmod(tmp, 0o600); err != nil {
		l.Close()
		os.Remove(tmp)
		return nil, rhumb.Errorf(rhumb.Conflict, "control socket %s can't be made: %w", path, err)
	}
	return &controlSocket{UnixListener: l, path: path, tmp: tmp}, nil
}

// publish gives the socket its name: whoever connects reaches the old proxy or this one, never nobody.
func (c *controlSocket) publish() error {
	if err := os.Rename(c.tmp, c.path); err != nil {
		return rhumb.Errorf(rhumb.Conflict, "control socket %s can't be made: %w", c.path, err)
	}
	return nil
}

// abandon closes a socket that was never published.
func (c *controlSocket) abandon() {
	c.Close()
	os.Remove(c.tmp)
}

// serveControl answers on the control socket until ctx ends. It closes l.
func serveControl(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      time.Minute,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	done := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(done)
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if server.Shutdown(end) != nil {
			server.Close()
		}
	})
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		log.Error("control socket ended", "error", err)
	}
	if !stop() {
		<-done
	}
}

// controlServer is a Router on the wire.
type controlServer struct{ router rhumb.Router }

func (s controlServer) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		st, err := s.router.Status(r.Context())
		reply(w, st, err)
	})
	mux.HandleFunc("PUT /table", func(w http.ResponseWriter, r *http.Request) {
		b, err := body(w, r)
		if err == nil {
			var t rhumb.Table
			if t, err = table.Decode(b, true); err == nil {
				err = s.router.Apply(r.Context(), t)
			}
		}
		reply(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /check", func(w http.ResponseWriter, r *http.Request) {
		var ls []rhumb.Listener
		b, err := body(w, r)
		if err == nil {
			if jerr := json.Unmarshal(b, &ls); jerr != nil {
				err = rhumb.Errorf(rhumb.Invalid, "listeners: not understood: %w", jerr)
			} else {
				err = s.router.Check(r.Context(), ls)
			}
		}
		reply(w, struct{}{}, err)
	})
	return mux
}

func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, table.MaxBytes))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "request: not read: %w", err)
	}
	return b, nil
}

func reply(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	if err != nil {
		status = http.StatusInternalServerError
		if rhumb.ErrorCode(err) != rhumb.Internal {
			status = http.StatusUnprocessableEntity
		}
		v = wireError{Code: rhumb.ErrorCode(err), Msg: err.Error(), Hint: rhumb.ErrorHint(err)}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the reader is gone if this fails
}
