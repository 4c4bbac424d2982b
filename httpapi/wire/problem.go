package wire

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"rhumb"
)

// Problem is an error on the wire: a rhumb.Error, or several.
type Problem struct {
	Code rhumb.Code `json:"code" doc:"what kind of error it is, for machines"`
	Msg  string     `json:"msg" doc:"what is wrong, for people"`
	Hint string     `json:"hint,omitempty" doc:"what to do"`
	At   string     `json:"at,omitempty" doc:"where in the user's files"`
	// Errors are all of them where several were found at once; the fields above are then the first one's.
	Errors []Problem `json:"errors,omitempty" doc:"all errors, where several were found at once"`
}

// strange is all that a client learns of an unforeseen error.
const strange = "internal error, see the server's log"

// NewProblem returns an error as it is sent. An error that isn't rhumb's becomes Internal without its text.
func NewProblem(err error) Problem {
	var several rhumb.Errors
	if errors.As(err, &several) && len(several) > 0 {
		p := one(several[0])
		p.Errors = make([]Problem, len(several))
		for i, e := range several {
			p.Errors[i] = one(e)
		}
		return p
	}
	var e *rhumb.Error
	switch {
	case errors.As(err, &e):
		p := one(e)
		p.Msg = wrapping(err, e) + p.Msg
		p.Hint = rhumb.ErrorHint(err)
		return p
	case errors.Is(err, context.Canceled):
		return Problem{Code: rhumb.Cancelled, Msg: "cancelled"}
	case errors.Is(err, context.DeadlineExceeded):
		return Problem{Code: rhumb.Timeout, Msg: "it did not happen in time"}
	}
	return Problem{Code: rhumb.Internal, Msg: strange}
}

func one(e *rhumb.Error) Problem {
	return Problem{Code: e.Code, Msg: e.Msg, Hint: e.Hint, At: e.At}
}

// wrapping returns the words that err wraps around e ("start shop-web.1.1: "). It leaves out those of joined errors,
// which may be foreign.
func wrapping(err error, e *rhumb.Error) string {
	prefix, ok := strings.CutSuffix(err.Error(), e.Error())
	for err != error(e) {
		if err = errors.Unwrap(err); err == nil {
			return ""
		}
	}
	if !ok {
		return ""
	}
	return prefix
}

// Foreign reports whether the error isn't rhumb's own. The text of such an error belongs in the log only.
func Foreign(err error) bool {
	var e *rhumb.Error
	return !errors.As(err, &e) && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// Err returns the error that p stands for: a *rhumb.Error, or rhumb.Errors.
func (p *Problem) Err() error {
	if len(p.Errors) == 0 {
		return &rhumb.Error{Code: p.Code, Msg: p.Msg, Hint: p.Hint, At: p.At}
	}
	es := make(rhumb.Errors, len(p.Errors))
	for i, q := range p.Errors {
		es[i] = &rhumb.Error{Code: q.Code, Msg: q.Msg, Hint: q.Hint, At: q.At}
	}
	return es
}

// Status returns the HTTP status for an error code.
func Status(c rhumb.Code) int {
	switch c {
	case rhumb.Invalid:
		return http.StatusBadRequest
	case rhumb.NotFound:
		return http.StatusNotFound
	case rhumb.Conflict:
		return http.StatusConflict
	case rhumb.Locked:
		return http.StatusLocked
	case rhumb.Unsupported:
		return http.StatusNotImplemented
	case rhumb.Unavailable:
		return http.StatusServiceUnavailable
	case rhumb.Timeout:
		return http.StatusGatewayTimeout
	case rhumb.Cancelled:
		return http.StatusRequestTimeout
	case rhumb.Denied:
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}
