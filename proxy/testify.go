package proxy

import (
	"context"

	"rhumb/proxy/internal/web"
	"rhumb/proxy/internal/wire"
)

// Testimony is what a proxy knows about the client of a request.
type Testimony = web.Testimony

// Testify has the proxy at a control socket answer requests for a path with their Testimony, in JSON, for a minute. The
// word makes the path one that strangers can't guess.
func Testify(ctx context.Context, socket, word string) (path string, err error) {
	return web.TestimonyPath(word), wire.Dial(socket).Testify(ctx, word)
}
