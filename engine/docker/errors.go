package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/moby/client"

	"rhumb"
)

// fail turns an engine's error into one of rhumb's. doing names the attempt: "start shop-web.42.1".
func (e *Engine) fail(err error, doing string) error {
	var known *rhumb.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	code := classify(err)
	r := &rhumb.Error{Code: code, Msg: doing + ": " + words(err), Err: err}
	switch code {
	case rhumb.Unavailable:
		r.Msg = doing + ": the engine at " + e.host + " can't be reached"
		r.Hint = "is Docker running? Try: systemctl status docker"
		if strings.Contains(err.Error(), "permission denied") {
			r.Hint = "this user may not open the socket: run as root, or as a member of the group docker"
		}
	case rhumb.Timeout:
		r.Msg = doing + ": the engine did not answer in time"
		r.Hint = "is the machine overloaded? Try: docker ps"
	case rhumb.Cancelled:
		r.Msg = doing + ": cancelled"
	}
	return r
}

// classify returns the code for an error of the client or the engine.
func classify(err error) rhumb.Code {
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return rhumb.Cancelled
	case errors.Is(err, context.DeadlineExceeded):
		return rhumb.Timeout
	case cerrdefs.IsNotFound(err):
		return rhumb.NotFound
	case cerrdefs.IsConflict(err), cerrdefs.IsAlreadyExists(err):
		return rhumb.Conflict
	case cerrdefs.IsInvalidArgument(err), cerrdefs.IsOutOfRange(err):
		return rhumb.Invalid
	case cerrdefs.IsUnauthorized(err), cerrdefs.IsPermissionDenied(err):
		return rhumb.Denied
	case cerrdefs.IsNotImplemented(err):
		return rhumb.Unsupported
	case client.IsErrConnectionFailed(err), errors.As(err, &network), errors.Is(err, io.EOF),
		errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return rhumb.Unavailable
	}
	return rhumb.Internal
}

// words returns an engine's message without the prefix that only names the daemon.
func words(err error) string {
	s := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	return strings.TrimSpace(s)
}

// is reports whether an error has a code.
func is(err error, code rhumb.Code) bool { return err != nil && rhumb.ErrorCode(err) == code }
