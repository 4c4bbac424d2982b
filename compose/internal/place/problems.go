package place

import (
	"fmt"
	"slices"
	"strconv"

	"rhumb"
)

const (
	maxProblems  = 30  // mistakes reported at once; more would hide the first ones
	manyProblems = 300 // mistakes after which the rest isn't checked
)

// Problems collects mistakes with their places.
type Problems struct {
	lines *Lines
	whole *Lines // of the complete files; nil until something is cut out
	errs  rhumb.Errors
	seen  map[any]bool
	unset map[string]bool // paths of values with an unset variable, which causes their other mistakes
}

// NewProblems returns an empty collection. l has the places of paths.
func NewProblems(l *Lines) *Problems {
	return &Problems{lines: l, seen: map[any]bool{}, unset: map[string]bool{}}
}

// SetLines replaces the places of paths, after values with mistakes have been cut out of the files.
func (b *Problems) SetLines(l *Lines) {
	if b.whole == nil && len(b.lines.at) > 0 {
		b.whole = b.lines
	}
	b.lines = l
}

// Said reports whether the files set a path, even to a value that has been cut out.
func (b *Problems) Said(path string) bool {
	return b.lines.Has(path) || b.whole != nil && b.whole.Has(path)
}

// MarkUnset records that the value at a path has an unset variable, which is a mistake of its own.
func (b *Problems) MarkUnset(path string) { b.unset[path] = true }

// Unset reports whether the value at a path has an unset variable.
func (b *Problems) Unset(path string) bool { return b.unset[path] }

// Follows reports whether a mistake has been cut out below a path, so that other mistakes there may be a consequence.
func (b *Problems) Follows(path string) bool {
	if b.whole == nil {
		return false
	}
	for said := range b.whole.at {
		if _, still := b.lines.at[said]; !still && len(said) > len(path) && said[:len(path)] == path &&
			(said[len(path)] == '.' || said[len(path)] == '[') {
			return true
		}
	}
	return false
}

// At adds a mistake at a path of the model, such as services.web.ports[0]. A mistake that several services inherit is
// reported once.
func (b *Problems) At(path, hint, format string, args ...any) {
	if b.Follows(path) || b.Unset(path) {
		return
	}
	msg := fmt.Sprintf(format, args...)
	if what := b.lines.what[path]; what != nil {
		id := said{what, msg}
		if b.seen[id] {
			return
		}
		b.seen[id] = true
	}
	b.Add(b.lines.Find(path), Subject(path)+": "+msg, hint)
}

// said identifies a mistake by its source.
type said struct {
	what any
	msg  string
}

// Add adds a mistake at a place in the files.
func (b *Problems) Add(at, msg, hint string) {
	b.AddError(&rhumb.Error{Code: rhumb.Invalid, At: at, Msg: msg, Hint: hint})
}

// AddError adds an existing error.
func (b *Problems) AddError(e *rhumb.Error) {
	if e == nil || b.seen[e.At+e.Msg] {
		return
	}
	b.seen[e.At+e.Msg] = true
	c := *e
	c.At, c.Msg, c.Hint = Printable(e.At), Printable(e.Msg), Printable(e.Hint)
	b.errs = append(b.errs, &c)
}

// Count returns the number of mistakes.
func (b *Problems) Count() int { return len(b.errs) }

// Full reports whether there are so many mistakes that more would be of no use.
func (b *Problems) Full() bool { return len(b.errs) >= manyProblems }

// Err returns the mistakes as one error, or nil.
func (b *Problems) Err() error { return Joined(b.errs) }

// Joined returns nil, the only error, or all errors in the order of their places.
func Joined(errs rhumb.Errors) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	errs = slices.Clone(errs)
	slices.SortStableFunc(errs, func(a, b *rhumb.Error) int { return Compare(a.At, b.At) })
	if len(errs) > maxProblems {
		rest := strconv.Itoa(len(errs)-maxProblems) + " more mistakes"
		switch {
		case len(errs) >= manyProblems:
			rest = "many more mistakes"
		case len(errs) == maxProblems+1:
			rest = "1 more mistake"
		}
		errs = append(errs[:maxProblems], rhumb.Errorf(rhumb.Invalid, "and %s", rest))
	}
	return errs
}
