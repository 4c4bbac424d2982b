package wire

import (
	"context"
	"encoding/json"
	"net/http"

	"rhumb"
)

// maxWord is how long a word may be that requests are known by.
const maxWord = 64

// Testify has the proxy answer requests that are known by a word with what it knows about their client.
func (c *Client) Testify(ctx context.Context, word string) error {
	return c.call(ctx, http.MethodPost, "/testify", word, nil)
}

// HandleTestify adds the other end of Testify.
func HandleTestify(mux *http.ServeMux, testify func(word string)) {
	mux.HandleFunc("POST /testify", func(w http.ResponseWriter, r *http.Request) {
		var word string
		b, err := body(w, r)
		if err == nil && (json.Unmarshal(b, &word) != nil || word == "" || len(word) > maxWord) {
			err = rhumb.Errorf(rhumb.Invalid, "a word of 1 to %d bytes is missing", maxWord)
		}
		if err == nil {
			testify(word)
		}
		reply(w, struct{}{}, err)
	})
}
