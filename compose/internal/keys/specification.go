package keys

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/compose-spec/compose-go/v2/schema"

	"rhumb/compose/internal/place"
)

// Extension is what rhumb adds to a service.
const Extension = "x-rhumb"

// ExtensionFields are what the extension may have.
var ExtensionFields = []string{"routes", "strategy", "ready", "drain", "hold", "hooks", "after", "tls"}

// Field is a place in the specification: which keys may be there. A nil field is a place where anything may be.
type Field struct {
	keys map[string]*Field // "*" stands for any name, "[]" for a list's items
}

// Specification is the root of all that the Compose specification's schema declares.
var Specification = sync.OnceValue(func() *Field {
	root := &Field{keys: map[string]*Field{}}
	for _, path := range schema.AttributePaths() {
		at := root
		for _, part := range path.Parts() {
			next := at.keys[part]
			if next == nil {
				next = &Field{keys: map[string]*Field{}}
				at.keys[part] = next
			}
			at = next
		}
	}
	return root
})

// Service is what a service may have.
func Service() *Field { return Specification().Child("services").Child("*") }

// Child gives the field of a name that is known to be there.
func (f *Field) Child(name string) *Field { return f.keys[name] }

// Key gives the field below a key, and whether the key may be there.
func (f *Field) Key(name string) (*Field, bool) {
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

// Named tells whether names of the user's may be there.
func (f *Field) Named() bool { return f != nil && f.keys["*"] != nil }

// Item gives the field of a list's items.
func (f *Field) Item() *Field {
	if f == nil {
		return nil
	}
	return f.keys["[]"]
}

func (f *Field) names() []string {
	var names []string
	for k := range f.keys {
		if k != "*" && k != "[]" {
			names = append(names, k)
		}
	}
	return names
}

// Hint helps with an unknown key: a name that is close, or the place in a service where the key belongs.
func (f *Field) Hint(key string) string {
	if c := place.Closest(key, f.names()); c != "" {
		return "did you mean " + c + "?"
	}
	switch {
	case f == Specification() && slices.Contains(Service().names(), key):
		return "it belongs to a service, below services:"
	case f != Service():
		return place.DidYouMean(key, f.names())
	}
	for _, parent := range []string{"deploy", "build", "healthcheck"} {
		if _, ok := f.keys[parent].keys[key]; ok {
			return "did you mean " + parent + "." + key + "?"
		}
	}
	if slices.Contains(ExtensionFields, key) {
		return "did you mean " + Extension + "." + key + "?"
	}
	if slices.Contains(slices.Collect(maps.Keys(Specification().keys)), key) {
		return "it is a top-level key: look at the indentation"
	}
	return ""
}
