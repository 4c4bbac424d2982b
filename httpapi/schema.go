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

// allowEmptyBytes accepts "" as the base64 of no bytes. huma's own check refuses it, so the document keeps the encoding
// but only the decoder checks it.
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

// huma makes its own errors, for requests that don't fit the schema, with this function. Setting it is the library's
// only way to change their form.
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

// How many mistakes a refusal names at most, and how many bytes of the place of each.
const (
	maxDetails = 5
	maxPlace   = 200
)

// detail returns what is wrong and where. It leaves out the value: where a field is unknown or missing, huma's value
// is the whole body.
func detail(d *huma.ErrorDetail) string {
	if d.Location == "" {
		return d.Message
	}
	place := strconv.Quote(d.Location[:min(len(d.Location), maxPlace)])
	return fmt.Sprintf("%s (%s)", d.Message, place[1:len(place)-1])
}
