package httpapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"rhumb"
	"rhumb/httpapi/wire"
)

type buildPath struct {
	StackPath
	Service string `path:"service" doc:"the service's name"`
}

func (a *api) builder(s rhumb.Builder) {
	o := op("build", http.MethodPost, "/stacks/{stack}/services/{service}/builds",
		"Build a service's image; the stream reports progress and ends with the image")
	o.Responses = a.streamResponse()
	body := &huma.RequestBody{
		Description: "two parts in this order: request (JSON: a BuildRequest) and context (a tar stream)",
		Required:    true,
		Content: map[string]*huma.MediaType{"multipart/form-data": {Schema: &huma.Schema{
			Type: huma.TypeObject, Required: []string{"request", "context"},
			Properties: map[string]*huma.Schema{
				"request": {Type: huma.TypeObject, Description: "a BuildRequest"},
				"context": {Type: huma.TypeString, Format: "binary", Description: "a tar stream"},
			},
		}}},
	}
	huma.Register(a.huma, o, func(_ context.Context, in *buildPath) (*streamAnswer, error) {
		return &streamAnswer{func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			a.build(w, r, s, in)
		}}, nil
	})
	a.huma.OpenAPI().Paths[o.Path].Post.RequestBody = body // after Register: huma reads a body that it knows of
}

func (a *api) build(w http.ResponseWriter, r *http.Request, s rhumb.Builder, in *buildPath) {
	// Progress is sent while the context still comes in.
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		refuse(w, a.failed(r.Context(), "build", err).Err())
		return
	}
	// Read the rest of the context, so that the sender doesn't stop before it reads the answer.
	defer func() { _, _ = io.Copy(io.Discard, io.LimitReader(r.Body, wire.MaxContext)) }()
	a.stream(w, r, "build", func(ctx context.Context, send func(wire.Item) error) (wire.Item, error) {
		req, tar, err := buildParts(r)
		if err != nil {
			return wire.Item{}, err
		}
		if err := sameName(in.Stack, req.Stack); err != nil {
			return wire.Item{}, err
		}
		if req.Service != in.Service {
			return wire.Item{}, rhumb.Errorf(rhumb.Invalid,
				"the path names the service %q, the request %q", in.Service, req.Service)
		}
		// A client that has gone has cancelled ctx.
		img, err := s.Build(ctx, req, tar, func(p rhumb.BuildProgress) { _ = send(wire.Item{Progress: &p}) })
		return wire.Item{Image: &img}, err
	})
}

// buildParts reads the request and returns the context's stream.
func buildParts(r *http.Request) (rhumb.BuildRequest, io.Reader, error) {
	var req rhumb.BuildRequest
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return req, nil, rhumb.Errorf(rhumb.Invalid, "a build must be multipart/form-data")
	}
	parts := multipart.NewReader(r.Body, params["boundary"])
	part, err := namedPart(parts, "request")
	if err != nil {
		return req, nil, err
	}
	text, err := io.ReadAll(io.LimitReader(part, wire.MaxModel)) // build secrets are in there
	if err != nil {
		return req, nil, rhumb.Errorf(rhumb.Invalid, "the build's request can't be read: %w", err)
	}
	if err := decodeStrictly(text, &req); err != nil {
		return req, nil, rhumb.Errorf(rhumb.Invalid, "the build's request is not valid: %w", err)
	}
	tar, err := namedPart(parts, "context")
	if err != nil {
		return req, nil, err
	}
	return req, &limited{r: tar, left: wire.MaxContext}, nil
}

func namedPart(parts *multipart.Reader, name string) (io.Reader, error) {
	part, err := parts.NextPart()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			return nil, err
		}
		return nil, rhumb.Errorf(rhumb.Invalid, "the build's part %q is missing", name)
	}
	if part.FormName() != name {
		return nil, rhumb.Errorf(rhumb.Invalid, "the build's part %q comes where %q belongs", part.FormName(), name)
	}
	return part, nil
}

// limited fails where io.LimitReader would end: half a context is not a context.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		err := rhumb.Errorf(rhumb.Invalid, "the build context is larger than %d MB", wire.MaxContext>>20).
			WithHint("exclude what the build doesn't need in a .dockerignore")
		return 0, fmt.Errorf("read the context: %w", err)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
