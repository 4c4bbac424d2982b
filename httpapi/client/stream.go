package client

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"rhumb"
	"rhumb/httpapi/wire"
)

func bytesReader(b []byte) io.Reader { return bytes.NewReader(b) }

// request is a request for a stream.
type request struct {
	method, path string
	header       http.Header
	body         io.Reader
}

// stream makes a request, passes each item to take until it returns false, and returns the stream's last item. It
// returns an error item as its error. Unavailable: the stream ended early, or the server fell silent.
func (c *Client) stream(ctx context.Context, r request, take func(wire.Item) bool) (wire.Item, error) {
	reading, cancel := context.WithCancel(ctx)
	defer cancel()
	resp, err := c.do(reading, r.method, r.path, r.header, r.body)
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return wire.Item{}, err
	}
	defer resp.Body.Close()
	body := &timedReader{r: resp.Body, cancel: cancel}
	items := wire.NewItems(body)
	for {
		it, err := items.Next()
		switch {
		case err != nil && reading.Err() != nil && ctx.Err() == nil:
			return wire.Item{}, rhumb.Errorf(rhumb.Unavailable, "the server at %s fell silent", c.host)
		case err != nil:
			return wire.Item{}, c.broken(ctx, err)
		case it.Error != nil:
			return wire.Item{}, it.Error.Err()
		case it.End, it.Deployment != nil, it.Image != nil:
			finish(body)
			return it, nil
		}
		if !take(it) {
			return wire.Item{End: true}, nil
		}
	}
}

// timedReader cancels when a read takes longer than a living server is silent. It times only reads, so a consumer may
// be slow.
type timedReader struct {
	r      io.Reader
	cancel context.CancelFunc
}

func (i *timedReader) Read(p []byte) (int, error) {
	t := time.AfterFunc(wire.Silence, i.cancel)
	defer t.Stop()
	return i.r.Read(p)
}
