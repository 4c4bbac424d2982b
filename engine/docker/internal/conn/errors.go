package conn

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

// Fail turns an engine's error into one of rhumb's. It leaves nil and rhumb's own errors as they are. doing names the
// attempt: "start shop-web.42.1".
func (c *Conn) Fail(err error, doing string) error {
	var known *rhumb.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	code := Classify(err)
	r := &rhumb.Error{Code: code, Msg: doing + ": " + Words(err), Err: err}
	switch code {
	case rhumb.Unavailable:
		r.Msg = doing + ": the engine at " + c.Host + " can't be reached"
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

// FailNeed is Fail for a call that needs something else: a network, a volume, a driver. If that is missing, retrying
// can't help: NotFound becomes Invalid.
func (c *Conn) FailNeed(err error, doing string) error {
	failed := c.Fail(err, doing)
	if Is(failed, rhumb.NotFound) {
		return &rhumb.Error{Code: rhumb.Invalid, Msg: doing + ": " + Words(err), Err: err}
	}
	return failed
}

// Classify returns the code for an error of the client or the engine.
func Classify(err error) rhumb.Code {
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

// Words returns an engine's message without the prefix that only names the daemon.
func Words(err error) string {
	s := strings.TrimPrefix(err.Error(), "Error response from daemon: ")
	return strings.TrimSpace(s)
}

// Is reports whether an error has a code.
func Is(err error, code rhumb.Code) bool { return err != nil && rhumb.ErrorCode(err) == code }
