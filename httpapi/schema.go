package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"rhumb"
	"rhumb/httpapi/wire"
)

// allowEmptyBytes lets "" be the base64 of no bytes. huma's own check refuses it, so the document keeps the encoding and
// the check is left to the decoder.
func (a *api) allowEmptyBytes() {
	seen := map[*huma.Schema]bool{}
	var visit func(*huma.Schema)
	visit = func(s *huma.Schema) {
		if s == nil || seen[s] {
			return
		}
		seen[s] = true
		if s.ContentEncoding == "base64" {
			s.ContentEncoding, s.Nullable = "", true
			s.Extensions = map[string]any{"contentEncoding": "base64"}
		}
		visit(s.Items)
		for _, p := range s.Properties {
			visit(p)
		}
		if values, ok := s.AdditionalProperties.(*huma.Schema); ok {
			visit(values)
		}
	}
	for _, s := range a.huma.OpenAPI().Components.Schemas.Map() {
		visit(s)
	}
}

// huma makes its own errors (a request that doesn't fit the schema) with this function, which is the library's one way
// to change their form.
func init() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		code := rhumb.Internal
		if status >= 400 && status < 500 {
			code = rhumb.Invalid
		}
		if status == http.StatusUnprocessableEntity || len(errs) > 0 && status == http.StatusBadRequest {
			status, msg = http.StatusBadRequest, "the request is not valid"
		}
		var details []string
		for _, err := range errs {
			var d *huma.ErrorDetail
			if errors.As(err, &d) && len(details) < maxDetails {
				details = append(details, detail(d))
			}
		}
		if len(details) > 0 {
			msg += ": " + strings.Join(details, "; ")
		}
		return &statusError{Problem: wire.Problem{Code: code, Msg: msg}, status: status}
	}
}

// A refusal tells so many mistakes at most, and so much of the place of each.
const (
	maxDetails = 5
	maxPlace   = 200
)

// detail says what is wrong and where. It leaves out the value, which is huma's whole body where a field is unknown or missing.
func detail(d *huma.ErrorDetail) string {
	if d.Location == "" {
		return d.Message
	}
	place := strconv.Quote(d.Location[:min(len(d.Location), maxPlace)])
	return fmt.Sprintf("%s (%s)", d.Message, place[1:len(place)-1])
}
