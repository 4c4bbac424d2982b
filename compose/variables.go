package compose

import (
	"errors"
	"fmt"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"

	"rhumb/compose/internal/diskfile"
)

// The library's work and depth grow with the number of a value's variables times its length. These limits keep both
// small.
const (
	maxDollars = 500
	maxValue   = diskfile.MaxContent
)

// absent is an unset variable in a value.
type absent struct {
	name     string
	required bool   // written ${NAME:?reason}
	reason   string // the file's own message
}

// interpolated replaces the variables of a value. It also returns those that are unset and have no default.
func interpolated(value string, lookup func(string) (string, bool)) (string, []absent, error) {
	if !strings.Contains(value, "$") {
		return value, nil, nil
	}
	if strings.Count(value, "$") > maxDollars || len(value) > maxValue {
		return value, nil, fmt.Errorf("a value with more than %d variables or %d KB", maxDollars, maxValue>>10)
	}
	missing := unset(value, lookup, nil, 0)
	result, err := substitute(value, lookup)
	var required *template.MissingRequiredError
	if errors.As(err, &required) {
		if len(missing) == 0 {
			missing = append(missing, absent{required.Variable, true, required.Reason})
		}
		err = nil
	}
	return result, missing, err
}

// substitute substitutes variables. It turns a panic of the library into an error.
func substitute(value string, lookup func(string) (string, bool)) (s string, err error) {
	defer recovered(&err)
	return template.SubstituteWithOptions(value, lookup, template.WithoutLogging)
}

// unset returns the variables of a value that are unset and have no default. The library doesn't distinguish them
// from variables with an empty default.
func unset(value string, lookup func(string) (string, bool), missing []absent, depth int) []absent {
	for depth < 8 {
		i := strings.IndexByte(value, '$')
		if i < 0 || i+1 == len(value) {
			break
		}
		value = value[i+1:]
		switch {
		case value[0] == '$':
			value = value[1:]
		case value[0] == '{':
			inner, rest := braced(value)
			missing = unsetBraced(inner, lookup, missing, depth)
			value = rest
		default:
			name := value[:nameLength(value)]
			if _, ok := lookup(name); name != "" && !ok {
				missing = append(missing, absent{name: name})
			}
			value = value[len(name):]
		}
	}
	return missing
}

// unsetBraced checks the text between ${ and }.
func unsetBraced(inner string, lookup func(string) (string, bool), missing []absent, depth int) []absent {
	name := inner[:nameLength(inner)]
	if name == "" {
		return missing // not a variable: the library reports it
	}
	v, ok := lookup(name)
	op := inner[len(name):]
	if strings.HasPrefix(op, ":") {
		ok, op = ok && v != "", op[1:]
	}
	switch {
	case op == "":
		if !ok {
			missing = append(missing, absent{name: name})
		}
	case op[0] == '-' && !ok, op[0] == '+' && ok:
		missing = unset(op[1:], lookup, missing, depth+1)
	case op[0] == '?' && !ok:
		missing = append(missing, absent{name: name, required: true, reason: op[1:]})
	}
	return missing
}

// braced splits "{…}rest" at the brace that closes the first one.
func braced(s string) (inner, rest string) {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return s[1:i], s[i+1:]
			}
		}
	}
	return s[1:], ""
}

func nameLength(s string) int {
	for i := range len(s) {
		c := s[i]
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return i
		}
	}
	return len(s)
}
