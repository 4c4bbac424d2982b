package httpapi

import (
	"bytes"
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"rhumb"
	"rhumb/httpapi/wire"
)

type valuePath struct {
	Name string `path:"name" doc:"the value's name, as external secrets and configs name it"`
}

func (a *api) values(s rhumb.Values) {
	handle(a, op("values", http.MethodGet, "/values", "List the names of the values that are kept"),
		func(ctx context.Context, _ *struct{}) ([]string, error) { return s.Values(ctx) })
	act(a, op("remove-value", http.MethodDelete, "/values/{name}", "Remove a value"),
		func(ctx context.Context, in *valuePath) error { return s.RemoveValue(ctx, in.Name) })
	set := op("set-value", http.MethodPut, "/values/{name}", "Keep a value; the body is its content")
	set.DefaultStatus = http.StatusNoContent
	huma.Register(a.huma, set, func(_ context.Context, in *valuePath) (*streamAnswer, error) {
		return &streamAnswer{func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			a.setValue(w, r, s, in.Name)
		}}, nil
	})
	// Set it after Register: huma reads a body that it knows of.
	a.huma.OpenAPI().Paths[set.Path].Put.RequestBody = &huma.RequestBody{
		Required: true, Content: map[string]*huma.MediaType{
			"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
		},
	}
}

func (a *api) setValue(w http.ResponseWriter, r *http.Request, s rhumb.Values, name string) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxValue))
	if err != nil {
		refuse(w, rhumb.Errorf(rhumb.Invalid,
			"value %q: its content could not be read, or is larger than %d MB", name, wire.MaxValue>>20))
		return
	}
	if err := s.SetValue(r.Context(), name, bytes.NewReader(content)); err != nil {
		refuse(w, a.failed(r.Context(), "set-value", err).Err())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
