package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"

	"rhumb"
	"rhumb/httpapi/wire"
)

// Build implements rhumb.Builder.
func (c *Client) Build(
	ctx context.Context, r rhumb.BuildRequest, tar io.Reader, progress func(rhumb.BuildProgress),
) (rhumb.Image, error) {
	path, err := at("stacks", r.Stack, "services", r.Service, "builds")
	if err != nil {
		return rhumb.Image{}, err
	}
	req, err := encode(r)
	if err != nil {
		return rhumb.Image{}, err
	}
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	source := &faulty{r: tar}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		w.CloseWithError(sendParts(form, req, source))
	}()
	last, err := c.stream(ctx, request{method: http.MethodPost, path: path, body: body,
		header: http.Header{"Content-Type": {form.FormDataContentType()}}}, func(it wire.Item) bool {
		if it.Progress != nil && progress != nil {
			progress(*it.Progress)
		}
		return true
	})
	_ = body.Close() // ends the sending if it goes on
	<-sent
	if source.err != nil && ctx.Err() == nil {
		return rhumb.Image{}, source.err // the cause of the server's error about half a context
	}
	switch {
	case err != nil:
		return rhumb.Image{}, err
	case last.Image == nil:
		return rhumb.Image{}, c.broken(ctx, fmt.Errorf("the answer has no image"))
	}
	return *last.Image, nil
}

// faulty remembers why its reader failed.
type faulty struct {
	r   io.Reader
	err error
}

func (f *faulty) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

func sendParts(form *multipart.Writer, req []byte, tar io.Reader) error {
	part, err := form.CreateFormField("request")
	if err == nil {
		_, err = part.Write(json.RawMessage(req))
	}
	if err == nil {
		part, err = form.CreateFormFile("context", "context.tar")
	}
	if err == nil {
		_, err = io.Copy(part, tar)
	}
	if err == nil {
		err = form.Close()
	}
	return err
}
