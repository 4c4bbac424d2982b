// Package wire is the protocol of a proxy's control socket: a rhumb.Router at both ends, and the takeover, in which one
// process hands its sockets to the next.
package wire

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
	"syscall"
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

// ErrLeaving is the answer of a proxy that is stopping, or that has a successor. A Client retries and reaches the
// successor.
var ErrLeaving = rhumb.Errorf(rhumb.Unavailable, "the proxy is stopping")

// Lock keeps two processes from starting at once: the second one takes over from the first. It returns Locked if ctx
// ends first.
func Lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Internal, "control socket: the lock file can't be opened: %w", err)
	}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil // which unlocks
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			f.Close()
			return nil, rhumb.Errorf(rhumb.Locked, "another proxy is starting")
		}
	}
}

// Listener is the control socket under its temporary name, until Publish.
type Listener struct {
	*net.UnixListener
	path, tmp string
}

// Listen binds the control socket, for its owner alone, under a temporary name.
func Listen(path string) (*Listener, error) {
	tmp := path + "." + strconv.Itoa(os.Getpid())
	os.Remove(tmp) // left by an earlier process with our ID
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
	return &Listener{UnixListener: l, path: path, tmp: tmp}, nil
}

// Publish moves the socket to its own name. A client always reaches either the old proxy or this one.
func (c *Listener) Publish() error {
	if err := os.Rename(c.tmp, c.path); err != nil {
		return rhumb.Errorf(rhumb.Conflict, "control socket %s can't be made: %w", c.path, err)
	}
	return nil
}

// Abandon closes a socket that was never published.
func (c *Listener) Abandon() {
	c.Close()
	os.Remove(c.tmp)
}

// Serve answers on the control socket until ctx ends. It closes l.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) {
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
		log.Error("control socket ended", "err", err)
	}
	if !stop() {
		<-done
	}
}

// Mux returns the HTTP handler of a Router.
func Mux(router rhumb.Router) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, r *http.Request) {
		st, err := router.Status(r.Context())
		reply(w, st, err)
	})
	mux.HandleFunc("PUT /table", func(w http.ResponseWriter, r *http.Request) {
		b, err := body(w, r)
		if err == nil {
			var t rhumb.Table
			if t, err = table.Decode(b, true); err == nil {
				err = router.Apply(r.Context(), t)
			}
		}
		reply(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /check", func(w http.ResponseWriter, r *http.Request) {
		var ls []rhumb.Listener
		b, err := body(w, r)
		if err == nil {
			if jerr := json.Unmarshal(b, &ls); jerr != nil {
				err = rhumb.Errorf(rhumb.Invalid, "listeners: can't be parsed: %w", jerr)
			} else {
				err = router.Check(r.Context(), ls)
			}
		}
		reply(w, struct{}{}, err)
	})
	return mux
}

func body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, table.MaxBytes))
	if err != nil {
		return nil, rhumb.Errorf(rhumb.Invalid, "request: can't be read: %w", err)
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
	_ = json.NewEncoder(w).Encode(v) // if it fails, the reader is gone
}
