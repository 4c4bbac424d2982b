package promapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"runtime"
	"strconv"

	"github.com/prometheus/prometheus/promql/parser"

	"rhumb"
)

// answer returns the data of an answer, as JSON, and warnings about it.
type answer func(r *http.Request) (data []byte, warnings []string, err error)

// fault is an error in the words of the API.
type fault struct {
	status    int
	kind, msg string
}

// Error returns the message.
func (f fault) Error() string { return f.msg }

// badData returns the fault of a request that can't be read.
func badData(msg string) error { return fault{http.StatusBadRequest, "bad_data", msg} }

// serve returns a handler that puts an answer into the API's envelope.
func (a *api) serve(f answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			writeFault(w, fault{http.StatusBadRequest, "bad_data", "the parameters can't be read: " + err.Error()})
			return
		}
		data, warnings, err := f(r)
		if err != nil {
			a.fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		for _, part := range [][]byte{[]byte(`{"status":"success","data":`), data, warningsJSON(warnings), []byte("}")} {
			if _, err := w.Write(part); err != nil {
				return // the client is gone
			}
		}
	}
}

func warningsJSON(warnings []string) []byte {
	if len(warnings) == 0 {
		return nil
	}
	return appendJSON([]byte(`,"warnings":`), warnings)
}

// fail answers with an error.
func (a *api) fail(w http.ResponseWriter, err error) {
	f := faultOf(err)
	if f.status == http.StatusInternalServerError {
		a.Log.Error("request for metrics failed", "err", err)
	}
	writeFault(w, f)
}

// faultOf returns an error in the words of the API.
func faultOf(err error) fault {
	var f fault
	if errors.As(err, &f) {
		return f
	}
	f.msg = err.Error()
	var parse parser.ParseErrors
	switch code := rhumb.ErrorCode(err); {
	case errors.As(err, &parse):
		f.status, f.kind = http.StatusBadRequest, "bad_data"
	case code == rhumb.Invalid:
		f.status, f.kind = http.StatusUnprocessableEntity, "execution"
	case code == rhumb.Timeout:
		f.status, f.kind = http.StatusServiceUnavailable, "timeout"
	case code == rhumb.Cancelled, errors.Is(err, context.Canceled):
		f.status, f.kind = 499, "canceled"
	case code == rhumb.Unavailable:
		f.status, f.kind = http.StatusServiceUnavailable, "unavailable"
	default:
		f = fault{http.StatusInternalServerError, "internal", "rhumb failed; its log says why"}
	}
	return f
}

// writeFault answers with a fault.
func writeFault(w http.ResponseWriter, f fault) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(f.status)
	b := appendJSON([]byte(`{"status":"error","errorType":`), f.kind)
	_, _ = w.Write(append(appendJSON(append(b, `,"error":`...), f.msg), '}')) // the client may be gone
}

// writeText answers with a line for people.
func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client may be gone
}

// appendJSON appends a value that has a form in JSON.
func appendJSON(b []byte, v any) []byte {
	j, err := json.Marshal(v)
	if err != nil {
		return append(b, "null"...)
	}
	return append(b, j...)
}

// empty returns an answer that is always the same: what a Prometheus without configuration says.
func (a *api) empty(data string) answer {
	return func(*http.Request) ([]byte, []string, error) { return []byte(data), nil, nil }
}

// prometheusVersion is what rhumb says its version is. Grafana asks a Prometheus of 2.24 and newer for the values of a
// label of chosen series, and an older one, or a server of another kind, for all series. 2.55 was the last of its line:
// a client that asks it for nothing newer gets all it asks for.
const prometheusVersion = "2.55.0"

func (a *api) buildInfo(*http.Request) ([]byte, []string, error) {
	return appendJSON(nil, map[string]string{
		"version": prometheusVersion, "revision": a.Version, "branch": "rhumb", "buildUser": "", "buildDate": "",
		"goVersion": runtime.Version(),
	}), nil, nil
}

// limitOf returns the parameter limit; 0: none.
func limitOf(r *http.Request) (int, error) {
	s := r.Form.Get("limit")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 {
		return 0, badData("limit must be a number, and at least 0")
	}
	return n, nil
}
