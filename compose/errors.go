package compose

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rhumb"
)

const (
	maxProblems  = 30  // mistakes told at once; more would hide the first ones
	manyProblems = 300 // mistakes after which the rest isn't looked at
)

// problems collects mistakes with their places.
type problems struct {
	lines *lines
	errs  rhumb.Errors
	seen  map[string]bool
}

func newProblems(l *lines) *problems { return &problems{lines: l, seen: map[string]bool{}} }

// at adds a mistake at a path of the model, such as services.web.ports[0].
func (b *problems) at(path, hint, format string, args ...any) {
	b.add(b.lines.find(path), subject(path)+": "+fmt.Sprintf(format, args...), hint)
}

// add adds a mistake at a place in the files.
func (b *problems) add(at, msg, hint string) {
	if b.seen[at+msg] {
		return
	}
	b.seen[at+msg] = true
	b.errs = append(b.errs, &rhumb.Error{Code: rhumb.Invalid, At: at, Msg: msg, Hint: hint})
}

// addError adds an error that is ready made.
func (b *problems) addError(e *rhumb.Error) {
	if e != nil && !b.seen[e.At+e.Msg] {
		b.seen[e.At+e.Msg] = true
		b.errs = append(b.errs, e)
	}
}

// full tells whether there are so many mistakes that more would help nobody.
func (b *problems) full() bool { return len(b.errs) >= manyProblems }

func (b *problems) err() error { return joined(b.errs) }

// joined gives nil, the one error, or all of them in the order of their places.
func joined(errs rhumb.Errors) error {
	switch len(errs) {
	case 0:
		return nil
	case 1:
		return errs[0]
	}
	errs = slices.Clone(errs)
	slices.SortStableFunc(errs, func(a, b *rhumb.Error) int { return comparePlaces(a.At, b.At) })
	if len(errs) > maxProblems {
		count := strconv.Itoa(len(errs) - maxProblems)
		if len(errs) >= manyProblems {
			count = "many"
		}
		errs = append(errs[:maxProblems], rhumb.Errorf(rhumb.Invalid, "and %s more mistakes", count))
	}
	return errs
}

func comparePlaces(a, b string) int {
	fa, la := splitPlace(a)
	fb, lb := splitPlace(b)
	return cmp.Or(cmp.Compare(fa, fb), cmp.Compare(la, lb))
}

func splitPlace(at string) (string, int) {
	if i := strings.LastIndexByte(at, ':'); i >= 0 {
		if n, err := strconv.Atoi(at[i+1:]); err == nil {
			return at[:i], n
		}
	}
	return at, 0
}

var trailingIndex = regexp.MustCompile(`(\[\d*\])+$`)

// subject names a path as messages do: services.web.ports[0] is web.ports, networks.back.driver stays.
func subject(path string) string {
	return strings.TrimPrefix(trailingIndex.ReplaceAllString(path, ""), "services.")
}

// recovered makes an error of a panic in a library that was fed with a user's file.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the file can't be understood: %v", r)
	}
}

// lastLine gives ":N" for the last line number that a message names: where the YAML library noticed, not where it began to read.
func lastLine(msg string) string {
	all := atLine.FindAllStringSubmatch(msg, -1)
	if len(all) == 0 {
		return ""
	}
	return ":" + all[len(all)-1][1]
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

var (
	yamlPrefix   = regexp.MustCompile(`^(yaml: ?)?(unmarshal errors?:|construct errors?:|load errors?:)?\s*`)
	yamlPosition = regexp.MustCompile(`(while [a-z ]+ at )?(line \d+(, column \d+)?|<unknown position>|offset \d+):? ?`)
)

// yamlReason gives what the YAML library says without its name and place.
func yamlReason(err error) string {
	s := yamlPrefix.ReplaceAllString(strings.TrimSpace(err.Error()), "")
	s = strings.TrimSpace(yamlPosition.ReplaceAllString(firstLine(s), ""))
	s = strings.TrimPrefix(s, "go-yaml ")
	if s == "" {
		return "it can't be parsed"
	}
	return s
}

var (
	modelPath = regexp.MustCompile(`\b(services|networks|volumes|configs|secrets|include|name)((\.[A-Za-z0-9_*<-]+|\.?\[\d*\])+)|^(services|networks|volumes|configs|secrets|include|name)\b`)
	goPath    = regexp.MustCompile(`^'([a-z]+(?:\[[^\]]*\]|\.[A-Za-z0-9_-]+)*)'`)
	goIndex   = regexp.MustCompile(`\[([^\]]*[^\]\d][^\]]*)\]`)
	numbers   = regexp.MustCompile(`\.(\d+)\b`)
	wrappers  = regexp.MustCompile(`^(validating [^:]+: |failed to parse [^:]+: |error while interpolating |[^ ]+: failed to load: )`)
	goPrefix  = regexp.MustCompile(`strconv\.[A-Za-z]+: parsing `)
	goDecode  = regexp.MustCompile(`^decoding failed due to the following error\(s\):\s*`)
)

// libraryErrors turns what the Compose library says into errors with places: each line that names a path of the model is
// one, else the first line is.
func (v *inspector) libraryErrors(err error) error {
	text := goDecode.ReplaceAllString(strings.TrimSpace(err.Error()), "")
	var errs rhumb.Errors
	for line := range strings.Lines(text) {
		if e := v.libraryError(strings.TrimSpace(line), err); e.At != "" {
			errs = append(errs, e)
		}
	}
	if len(errs) == 0 {
		errs = rhumb.Errors{v.libraryError(firstLine(text), err)}
	}
	return joined(errs)
}

func (v *inspector) libraryError(msg string, err error) *rhumb.Error {
	for wrappers.MatchString(msg) {
		msg = wrappers.ReplaceAllString(msg, "")
	}
	msg = goPrefix.ReplaceAllString(msg, "")
	if m := goPath.FindStringSubmatch(msg); m != nil {
		path := goIndex.ReplaceAllString(m[1], ".$1")
		return v.libraryErrorAt(path, strings.TrimSpace(msg[len(m[0]):]), err)
	}
	if loc := modelPath.FindStringIndex(msg); loc != nil {
		path := strings.ReplaceAll(numbers.ReplaceAllString(msg[loc[0]:loc[1]], "[$1]"), ".[", "[")
		rest := strings.TrimLeft(msg[loc[1]:], " :.")
		if loc[0] > 0 { // the path is inside a sentence
			rest = msg
		}
		return v.libraryErrorAt(path, rest, err)
	}
	if path := v.quoted(msg); path != "" {
		return v.libraryErrorAt(path, msg, err)
	}
	return &rhumb.Error{Code: rhumb.Invalid, Msg: msg, Err: err}
}

func (v *inspector) libraryErrorAt(path, msg string, err error) *rhumb.Error {
	msg, hint := plainer(path, msg)
	return &rhumb.Error{Code: rhumb.Invalid, At: v.lines.find(path), Msg: subject(path) + ": " + msg, Hint: hint, Err: err}
}

// quoted finds the path of the longest value of the files that a message quotes. Some of the library's messages tell nothing else.
func (v *inspector) quoted(msg string) string {
	best, path := "", ""
	for value, p := range v.values {
		if len(value) > len(best) && strings.Contains(msg, value) {
			best, path = value, p
		}
	}
	return path
}

// plainer says the library's frequent messages in plain words, with a hint where there is one.
func plainer(path, s string) (msg, hint string) {
	s = strings.TrimPrefix(s, "failed to cast to expected type: ")
	if word, ok := strings.CutSuffix(s, ": invalid syntax"); ok {
		return word + " is not a number", ""
	}
	if word, _, ok := strings.Cut(s, " does not match pattern "); ok {
		return word + " isn't allowed here", patternHints[path[strings.LastIndexByte(path, '.')+1:]]
	}
	for _, m := range plainWords {
		if rest, ok := strings.CutPrefix(s, m.library); ok {
			return fmt.Sprintf(m.plain, strings.Trim(rest, `'" `)), m.hint
		}
	}
	return s, ""
}

var patternHints = map[string]string{"pull_policy": "choose always, missing, never or build"}

// plainWords says what the beginnings of the library's messages mean; the rest of the message goes into the plain one.
var plainWords = []struct{ library, plain, hint string }{
	{"time: invalid duration ", "%q is not a time", timeHint},
	{"time: missing unit in duration ", "%q is not a time", timeHint},
	{"invalid size: ", "%q is not a size", "write it as 64m or 1g"},
	{"invalid suffix: ", "%q is not a unit", "write it as 64m or 1g"},
	{"invalid boolean:", "%q is neither true nor false", ""},
	{"additional properties ", "unknown field %s", ""},
	{"false schema", "unknown field%s", ""},
	{"must be a null", "it has the wrong type%s", ""},
	{"invalid ip address: ", "%q is not an IP address", ""},
	{"invalid mount config for type \"bind\": field Source must not be empty", "the source is missing%s", "write source: with a path"},
}

// closest gives the candidate that name was probably meant to be, or "".
func closest(name string, candidates []string) string {
	most := 1 // edits
	if len(name) > 3 {
		most = 2 + len(name)/9
	}
	best, bestDistance := "", most+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance counts the edits between two words; two swapped neighbours are one edit (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// didYouMean gives a hint for a name that isn't among the candidates.
func didYouMean(name string, candidates []string) string {
	if c := closest(name, candidates); c != "" {
		return "did you mean " + c + "?"
	}
	if len(candidates) == 0 || len(candidates) > 12 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(candidates))
	return "there is " + strings.Join(sorted, ", ")
}
