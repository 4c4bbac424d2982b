// Package table parses, validates, compares and saves routing tables, and compiles their rules.
package table

import (
	"bytes"
	"encoding/json"
	"slices"

	"rhumb"
)

// Clone returns a deep copy of t without empty lists, so that equal tables have equal JSON.
func Clone(t rhumb.Table) rhumb.Table {
	t.Listeners = cloneList(t.Listeners)
	t.Rules = cloneList(t.Rules)
	t.Backends = cloneList(t.Backends)
	for i := range t.Backends {
		t.Backends[i].Endpoints = cloneList(t.Backends[i].Endpoints)
	}
	t.Segments = CloneSegments(t.Segments)
	t.Certificates = cloneList(t.Certificates)
	return t
}

func cloneList[T any](l []T) []T {
	if len(l) == 0 {
		return nil
	}
	return slices.Clone(l)
}

// Same reports whether two that were cloned are equal.
func Same[T rhumb.Table | rhumb.Segment](a, b T) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

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

// CloneSegments returns a deep copy of them.
func CloneSegments(ss []rhumb.Segment) []rhumb.Segment {
	ss = cloneList(ss)
	for i := range ss {
		ss[i].Services = cloneList(ss[i].Services)
		for j := range ss[i].Services {
			ss[i].Services[j].Endpoints = cloneList(ss[i].Services[j].Endpoints)
		}
	}
	return ss
}
