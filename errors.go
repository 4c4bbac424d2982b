package rhumb

import (
	"errors"
	"fmt"
	"strings"
)

// Code is the kind of an error, for machines. It survives the trip over the wire.
type Code string

const (
	Invalid     Code = "invalid"     // the input is wrong; trying again can't help
	NotFound    Code = "not_found"   // what was named isn't there
	Conflict    Code = "conflict"    // it clashes with what exists: a port, a name, a newer version
	Locked      Code = "locked"      // another deployment of the stack is going on
	Unsupported Code = "unsupported" // this engine, or this server, can't do it
	Unavailable Code = "unavailable" // the engine, the proxy, a registry or the daemon can't be reached
	Timeout     Code = "timeout"     // it did not happen in time
	Cancelled   Code = "cancelled"   // the caller stopped waiting, or the user said no
	Denied      Code = "denied"      // not allowed
	Internal    Code = "internal"    // a fault of rhumb, or a foreign error that was not foreseen
)

// Error is an error that explains itself.
// A foreign error counts as Internal: ErrorCode.
type Error struct {
	Code Code
	Msg  string // for people: what is wrong, with its subject ("service web: port 80800 is out of range")
	Hint string // what to do; may be empty
	At   string // where in the user's files: "compose.yaml:12"; empty elsewhere
	Err  error  // the cause, for the log; clients don't see it
}

// Error returns the message, after the place in the user's files if there is one.
func (e *Error) Error() string {
	if e.At != "" {
		return e.At + ": " + e.Msg
	}
	return e.Msg
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf returns an Error. The argument of a %w becomes its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint returns a copy of the error with a hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// ErrorCode returns the code of the first Error in err's chain: "" for nil, Internal if there is none.
func ErrorCode(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}

// ErrorHint returns the first hint in err's chain, or "".
func ErrorHint(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}

// Errors are several errors found at once, such as all mistakes in a file. Their code is that of the first.
type Errors []*Error

// Error returns the errors, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the errors.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}
