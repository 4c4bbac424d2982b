package rhumb

import (
	"errors"
	"fmt"
	"strings"
)

// Code says what kind of error it is, for machines. It survives the trip over the wire.
type Code string

const (
	Invalid     Code = "invalid"     // the input is wrong; sending it again won't help
	NotFound    Code = "not_found"   // what was named isn't there
	Conflict    Code = "conflict"    // it clashes with what is there: a port, a name, a newer version
	Locked      Code = "locked"      // another deployment of the stack is going on
	Unsupported Code = "unsupported" // this engine can't do it
	Unavailable Code = "unavailable" // the engine, the proxy, a registry or the daemon can't be reached
	Timeout     Code = "timeout"     // it did not happen in time
	Cancelled   Code = "cancelled"   // somebody asked to stop
	Denied      Code = "denied"      // not allowed
	Internal    Code = "internal"    // rhumb's own fault, or a foreign error that was not foreseen
)

// Error is an error that explains itself.
// The zero value is not used; a foreign error has the code Internal.
type Error struct {
	Code Code
	Msg  string // for people: what is wrong, with its subject ("service web: port 80800 is out of range")
	Hint string // the next move; may be empty
	At   string // where in the user's files: "compose.yaml:12"; empty elsewhere
	Err  error  // the cause, for the log; it does not reach strangers
}

// Error gives "at: message".
func (e *Error) Error() string {
	if e.At != "" {
		return e.At + ": " + e.Msg
	}
	return e.Msg
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error; a %w among the arguments becomes its cause.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Msg: err.Error(), Err: errors.Unwrap(err)}
}

// WithHint gives the same error with the next move.
func (e *Error) WithHint(format string, args ...any) *Error {
	c := *e
	c.Hint = fmt.Sprintf(format, args...)
	return &c
}

// ErrorCode gives the code of the first Error in err's chain: "" for nil, Internal where there is none.
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

// ErrorHint gives the first hint in err's chain, or "".
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

// Errors is several errors found at once, such as all mistakes of a file. Its code is that of the first.
type Errors []*Error

// Error gives one error a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the errors themselves.
func (es Errors) Unwrap() []error {
	errs := make([]error, len(es))
	for i, e := range es {
		errs[i] = e
	}
	return errs
}
