package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"unicode/utf8"
)

// JSON prints a value as indented JSON.
func JSON(w io.Writer, v any) error {
	return encode(w, v, "  ")
}

// Line prints a value as one line of JSON.
func Line(w io.Writer, v any) error {
	return encode(w, v, "")
}

// encode also escapes the control characters that JSON leaves as they are and terminals obey.
func encode(w io.Writer, v any, indent string) error {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(w, controls.ReplaceAllStringFunc(text.String(), func(c string) string {
		r, _ := utf8.DecodeRuneInString(c)
		return fmt.Sprintf(`\u%04x`, r)
	}))
	return err
}

var controls = regexp.MustCompile("[\x7f-\u009f]")

// List returns l, or an empty list for nil, which JSON would print as null.
func List[T any](l []T) []T {
	if l == nil {
		return []T{}
	}
	return l
}
