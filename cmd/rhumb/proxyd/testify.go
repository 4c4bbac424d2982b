package proxyd

import (
	"context"

	"rhumb/proxy"
)

// Testimony is what the proxy knows about the client of a request.
type Testimony = proxy.Testimony

// Testify has the proxy at a control socket answer requests for a path with their Testimony, for a minute. The word
// makes the path one that strangers can't guess.
func Testify(ctx context.Context, socket, word string) (path string, err error) {
	return proxy.Testify(ctx, socket, word)
}
