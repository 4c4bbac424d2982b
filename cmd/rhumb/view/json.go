package view

import (
	"encoding/json"
	"io"
)

// JSON prints a value for machines.
func JSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// Line prints a value as one line of JSON.
func Line(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// List makes an empty list print as one, not as null.
func List[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
