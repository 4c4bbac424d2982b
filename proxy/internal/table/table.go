// Package table parses, validates, compares and saves routing tables, and compiles their rules.
package table

import (
	"bytes"
	"encoding/json"

	"rhumb"
)

// MaxBytes is how many bytes of JSON a table may have; 10,000 endpoints have about 2 MB.
const MaxBytes = 64 << 20

// Decode parses a table that came over the wire or from disk. If strict, unknown fields are an error: a daemon newer
// than the proxy must not believe that what it asked for is served.
func Decode(data []byte, strict bool) (rhumb.Table, error) {
	var t rhumb.Table
	d := json.NewDecoder(bytes.NewReader(data))
	if strict {
		d.DisallowUnknownFields()
	}
	if err := d.Decode(&t); err != nil {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Invalid, "routing table: can't be parsed: %w", err)
	}
	if d.More() {
		return rhumb.Table{}, rhumb.Errorf(rhumb.Invalid, "routing table: unexpected data after it")
	}
	return t, Validate(t)
}
