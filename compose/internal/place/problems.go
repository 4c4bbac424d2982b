package place

import (
	"fmt"
	"slices"
	"strconv"

	"rhumb"
)

const (
	maxProblems  = 30  // mistakes told at once; more would hide the first ones
	manyProblems = 300 // mistakes after which the rest isn't looked at
)

// Problems collects mistakes with their places.
type Problems struct {
	lines *Lines
	errs  rhumb.Errors
	seen  map[string]bool
}

// NewProblems makes an empty collection; l tells the places of paths.
func NewProblems(l *Lines) *Problems { return &Problems{lines: l, seen: map[string]bool{}} }

// At adds a mistake at a path of the model, such as services.web.ports[0].
func (b *Problems) At(path, hint, format string, args ...any) {
	b.Add(b.lines.Find(path), Subject(path)+": "+fmt.Sprintf(format, args...), hint)
}

// Add adds a mistake at a place in the files.
func (b *Problems) Add(at, msg, hint string) {
	if b.seen[at+msg] {
		return
	}
	b.seen[at+msg] = true
	b.errs = append(b.errs, &rhumb.Error{Code: rhumb.Invalid, At: at, Msg: msg, Hint: hint})
}

// AddError adds an error that is ready made.
func (b *Problems) AddError(e *rhumb.Error) {
	if e != nil && !b.seen[e.At+e.Msg] {
		b.seen[e.At+e.Msg] = true
		b.errs = append(b.errs, e)
	}
}

// Full tells whether there are so many mistakes that more would help nobody.
func (b *Problems) Full() bool { return len(b.errs) >= manyProblems }

// Err gives the mistakes as one error; nil: there are none.
func (b *Problems) Err() error { return Joined(b.errs) }

// Joined gives nil, the one error, or all of them in the order of their places.
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
		count := strconv.Itoa(len(errs) - maxProblems)
		if len(errs) >= manyProblems {
			count = "many"
		}
		errs = append(errs[:maxProblems], rhumb.Errorf(rhumb.Invalid, "and %s more mistakes", count))
	}
	return errs
}
