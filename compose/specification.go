package compose

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/schema"
)

// extensionKey is what rhumb adds to a service.
const extensionKey = "x-rhumb"

// field is a place in the specification: which keys may be there. A nil field is a place where anything may be.
type field struct {
	keys map[string]*field // "*" stands for any name, "[]" for a list's items
}

// specification is the root of all that the Compose specification's schema declares.
var specification = sync.OnceValue(func() *field {
	root := &field{keys: map[string]*field{}}
	for _, path := range schema.AttributePaths() {
		at := root
		for _, part := range path.Parts() {
			next := at.keys[part]
			if next == nil {
				next = &field{keys: map[string]*field{}}
				at.keys[part] = next
			}
			at = next
		}
	}
	return root
})

// serviceField is what a service may have.
func serviceField() *field { return specification().child("services").child("*") }

// child gives the field of a name that is known to be there.
func (f *field) child(name string) *field { return f.keys[name] }

// key gives the field below a key, and whether the key may be there.
func (f *field) key(name string) (*field, bool) {
	if f == nil || len(f.keys) == 0 {
		return nil, true
	}
	if next, ok := f.keys[name]; ok && name != "*" && name != "[]" {
		return next, true
	}
	if next, ok := f.keys["*"]; ok {
		return next, true
	}
	if strings.HasPrefix(name, "x-") {
		return nil, true
	}
	return nil, len(f.names()) == 0
}

// item gives the field of a list's items.
func (f *field) item() *field {
	if f == nil {
		return nil
	}
	return f.keys["[]"]
}

func (f *field) names() []string {
	var names []string
	for k := range f.keys {
		if k != "*" && k != "[]" {
			names = append(names, k)
		}
	}
	return names
}

// hint helps with an unknown key: a name that is close, or the place in a service where the key belongs.
func (f *field) hint(key string) string {
	if c := closest(key, f.names()); c != "" {
		return "did you mean " + c + "?"
	}
	switch {
	case f == specification() && slices.Contains(serviceField().names(), key):
		return "it belongs to a service, below services:"
	case f != serviceField():
		return didYouMean(key, f.names())
	}
	for _, parent := range []string{"deploy", "build", "healthcheck"} {
		if _, ok := f.keys[parent].keys[key]; ok {
			return "did you mean " + parent + "." + key + "?"
		}
	}
	if key == "routes" || key == "strategy" || key == "drain" || key == "hold" || key == "ready" || key == "hooks" || key == "after" {
		return "did you mean " + extensionKey + "." + key + "?"
	}
	if slices.Contains(slices.Collect(maps.Keys(specification().keys)), key) {
		return "it is a top-level key: look at the indentation"
	}
	return ""
}
