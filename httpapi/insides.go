package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"rhumb"
	"rhumb/httpapi/wire"
)

type logsInput struct {
	StackPath
	LogRange
	Service []string `query:"service,explode" doc:"only these services'"`
}

type commandInput struct {
	StackPath
	Service string `path:"service" doc:"the service's name"`
	Body    wire.CommandRequest
}

func (a *api) insides(s rhumb.Insides) {
	stream(a, op("logs", http.MethodGet, "/stacks/{stack}/logs", "Stream log lines, merged by time"),
		func(ctx context.Context, in *logsInput, send func(wire.Item) error) (wire.Item, error) {
			o, err := in.options()
			if err != nil {
				return wire.Item{}, err
			}
			return sendLines(s.Logs(ctx, in.Stack, in.Service, o), send)
		})
	a.joined("exec", "Run a command in a service's replica",
		func(ctx context.Context, in *commandInput, o rhumb.ExecOptions) (int, error) {
			return s.Exec(ctx, in.Stack, in.Service, in.Body.Slot, o)
		})
	a.joined("run", "Run a command in one more replica of a service",
		func(ctx context.Context, in *commandInput, o rhumb.ExecOptions) (int, error) {
			return s.Run(ctx, in.Stack, in.Service, o)
		})
}

// joined registers an operation whose connection becomes the command's streams.
func (a *api) joined(id, summary string, do func(context.Context, *commandInput, rhumb.ExecOptions) (int, error)) {
	o := op(id, http.MethodPost, "/stacks/{stack}/services/{service}/"+id, summary)
	o.Description = "The connection is upgraded to the protocol " + wire.Protocol +
		": frames of one byte for the kind, four for the length (big-endian, at most 65536) and the payload. " +
		"Kinds: 0 alive, 1 input, 2 end of the input, 3 output, 4 error output, " +
		"5 terminal size (rows, columns: two bytes each), " +
		"6 exit code (four bytes, last), 7 error (JSON, last), 8 a signal for the command of a run (its number, one byte)."
	o.Responses = map[string]*huma.Response{"101": {Description: "frames follow"}}
	huma.Register(a.huma, o, func(_ context.Context, in *commandInput) (*streamAnswer, error) {
		return &streamAnswer{func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			a.join(w, r, in, do)
		}}, nil
	})
}
