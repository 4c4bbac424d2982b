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
	Service []string `query:"service,explode" doc:"only these services'"`
	Follow  bool     `query:"follow" doc:"go on with those that follow"`
	Tail    int      `query:"tail" doc:"the last so many of each replica; 0: all; negative: none of the old ones"`
	Since   string   `query:"since" doc:"only those not before this time (RFC 3339)"`
	Until   string   `query:"until" doc:"only those before this time (RFC 3339)"`
}

type commandInput struct {
	StackPath
	Service string `path:"service" doc:"the service's name"`
	Body    wire.CommandRequest
}

func (a *api) insides(s rhumb.Insides) {
	stream(a, op("logs", http.MethodGet, "/stacks/{stack}/logs", "Stream log lines, merged by time"),
		func(ctx context.Context, in *logsInput, send func(wire.Item) error) (wire.Item, error) {
			o := rhumb.LogOptions{Follow: in.Follow, Tail: in.Tail}
			var err error
			if o.Since, err = timeOf(in.Since, "since"); err != nil {
				return wire.Item{}, err
			}
			if o.Until, err = timeOf(in.Until, "until"); err != nil {
				return wire.Item{}, err
			}
			for l, err := range s.Logs(ctx, in.Stack, in.Service, o) {
				if err != nil {
					return wire.Item{}, err
				}
				if err := send(wire.Item{Line: &l}); err != nil {
					return wire.Item{}, context.Canceled // the reader has gone
				}
			}
			return wire.Item{End: true}, nil
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
