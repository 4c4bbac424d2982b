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
	Name string `path:"name" doc:"the value's name, as external secrets and configs give it"`
}

type commandInput struct {
	StackPath
	Service string `path:"service" doc:"the service's name"`
	Body    wire.CommandRequest
}

func (a *api) operator() {
	handle(a, op("values", http.MethodGet, "/values", "List the names of the values that are kept"),
		func(ctx context.Context, _ *struct{}) ([]string, error) { return a.s.Values(ctx) })
	act(a, op("remove-value", http.MethodDelete, "/values/{name}", "Forget a value"),
		func(ctx context.Context, in *valuePath) error { return a.s.RemoveValue(ctx, in.Name) })
	set := op("set-value", http.MethodPut, "/values/{name}", "Keep a value; the body is its content")
	set.DefaultStatus = http.StatusNoContent
	huma.Register(a.huma, set, func(_ context.Context, in *valuePath) (*streamAnswer, error) {
		return &streamAnswer{func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			a.setValue(w, r, in.Name)
		}}, nil
	})
	// Only now: huma would read a body that it knows of.
	a.huma.OpenAPI().Paths[set.Path].Put.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	a.joined("exec", "Run a command in a service's replica", func(ctx context.Context, in *commandInput, o rhumb.ExecOptions) (int, error) {
		return a.s.Exec(ctx, in.Stack, in.Service, in.Body.Slot, o)
	})
	a.joined("run", "Run a command in one more replica of a service", func(ctx context.Context, in *commandInput, o rhumb.ExecOptions) (int, error) {
		return a.s.Run(ctx, in.Stack, in.Service, o)
	})
}

func (a *api) setValue(w http.ResponseWriter, r *http.Request, name string) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, wire.MaxValue))
	if err != nil {
		refuse(w, rhumb.Errorf(rhumb.Invalid, "value %q: its content could not be read, or is larger than %d MB", name, wire.MaxValue>>20))
		return
	}
	if err := a.s.SetValue(r.Context(), name, bytes.NewReader(content)); err != nil {
		refuse(w, a.failed(r.Context(), "set-value", err).Err())
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// joined registers an operation whose connection becomes the command's streams.
func (a *api) joined(id, summary string, do func(context.Context, *commandInput, rhumb.ExecOptions) (int, error)) {
	o := op(id, http.MethodPost, "/stacks/{stack}/services/{service}/"+id, summary)
	o.Description = "The connection is upgraded to the protocol " + wire.Protocol +
		": frames of one byte for the kind, four for the length (big-endian, at most 65536) and the payload. " +
		"Kinds: 0 alive, 1 input, 2 end of the input, 3 output, 4 error output, 5 terminal size (rows, columns: two bytes each), " +
		"6 exit code (four bytes, last), 7 error (JSON, last), 8 a signal for the command of a run (its number, one byte)."
	o.Responses = map[string]*huma.Response{"101": {Description: "frames follow"}}
	huma.Register(a.huma, o, func(_ context.Context, in *commandInput) (*streamAnswer, error) {
		return &streamAnswer{func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			a.join(w, r, in, do)
		}}, nil
	})
}
