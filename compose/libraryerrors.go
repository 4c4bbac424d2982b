package compose

import (
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"rhumb"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

// recovered turns a panic of a library, caused by a user's file, into an error.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the file can't be understood: %v", r)
	}
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// unplaced rewords an error of the library that has no place.
func unplaced(msg string) (plain, hint string) {
	switch {
	case strings.Contains(msg, "can't be understood"), goText.MatchString(msg):
		return "the file can't be understood", "look for keys without a value, and for lists and mappings in each " +
			"other's place"
	case strings.Contains(msg, "empty compose file"):
		return "services: no service to run", "write at least one below services:"
	}
	return msg, ""
}

const topKeys = `services|networks|volumes|configs|secrets|include|name|jobs|models|version`

var (
	modelPath = regexp.MustCompile(`\b(` + topKeys + `)((\.[A-Za-z0-9_*<-]+|\.?\[\d*\])+)|^(` + topKeys + `)\b`)
	unparsed  = regexp.MustCompile(`(?s)failed to parse ([^:]+): (yaml: .*)`)
	goPath    = regexp.MustCompile(`^'([a-z]+(?:\[[^\]]*\]|\.[A-Za-z0-9_-]+)*)'`)
	goIndex   = regexp.MustCompile(`\[([^\]]*[^\]\d][^\]]*)\]`)
	numbers   = regexp.MustCompile(`\.(\d+)\b`)
	wrappers  = regexp.MustCompile(`^(validating [^:]+: |failed to parse [^:]+: |error while interpolating |` +
		`[^ ]+: failed to load: )`)
	goPrefix = regexp.MustCompile(`strconv\.[A-Za-z]+: parsing `)
	goDecode = regexp.MustCompile(`^decoding failed due to the following error\(s\):\s*`)
)

// libraryErrors turns an error of the Compose library into mistakes with places. Each line that contains a path of
// the model is a mistake; if none does, the first line is.
func (v *inspector) libraryErrors(err error) {
	text := goDecode.ReplaceAllString(strings.TrimSpace(err.Error()), "")
	if m := unparsed.FindStringSubmatch(text); m != nil && v.in.sources[m[1]] != nil {
		v.unparsed(v.in.sources[m[1]], m[2], err)
		return
	}
	found := false
	for line := range strings.Lines(text) {
		found = v.libraryError(strings.TrimSpace(line), err) || found
	}
	if !found {
		v.stuck = true
		msg, hint := unplaced(firstLine(text))
		v.unplaced = &rhumb.Error{Code: rhumb.Invalid, At: place.At(v.in.files[0].name, 1), Msg: msg, Hint: hint, Err: err}
	}
}

// unparsed reports the library's error for a file that it can't parse although it is YAML.
func (v *inspector) unparsed(src *source, text string, err error) {
	e := yamlError(src.name, src.content, strings.ReplaceAll(text, "\n", " "), err)
	if strings.Contains(text, "excessive aliasing") && v.widest.src == src {
		e.At = place.At(src.name, v.widest.line)
	}
	v.stuck = true
	v.bad.AddError(e)
}

// libraryError reports a message as a mistake. It returns false if the place is unknown.
func (v *inspector) libraryError(msg string, err error) bool {
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
		if loc[0] > 0 { // the path is in the middle of a sentence
			rest = msg
		}
		return v.libraryErrorAt(path, rest, err)
	}
	if path := v.quoted(msg); path != "" {
		return v.libraryErrorAt(path, msg, err)
	}
	return false
}

// libraryErrorAt reports a message about a path. It cuts out the nearest value in the files.
func (v *inspector) libraryErrorAt(path, msg string, err error) bool {
	at := v.lines.Find(path)
	if at == "" {
		return false
	}
	want, ofType := strings.CutPrefix(msg, "must be a ")
	msg, hint := plainer(msg)
	if ofType {
		msg, hint = wrongType(path, want, v.nodes[path])
	}
	if n := v.nearest(wholeItem(path)); n != nil {
		v.cut[n] = true
	} else {
		v.stuck = true
	}
	if v.bad.Follows(path) || v.bad.Unset(path) {
		return true
	}
	if goText.MatchString(msg) {
		msg, hint = "the value is of a wrong kind", "look at what the key takes in the specification"
	}
	v.bad.AddError(&rhumb.Error{Code: rhumb.Invalid, At: at, Msg: place.Subject(path) + ": " + msg, Hint: hint, Err: err})
	return true
}

// wholeItem returns the path of the list item that contains a path, or else the path: an item without one of its
// values would mean something else.
func wholeItem(path string) string {
	if i := strings.LastIndexByte(path, ']'); i >= 0 {
		return path[:i+1]
	}
	return path
}

// nearest returns the value at a path, or at the longest path above it that has one, or nil.
func (v *inspector) nearest(path string) *yaml.Node {
	for path != "" {
		if n := v.nodes[path]; n != nil {
			return n
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return nil
}

// quoted returns the path of the longest value that a message quotes. Some messages of the library contain no other
// clue.
func (v *inspector) quoted(msg string) string {
	best, path := "", ""
	for value, p := range v.values {
		longer := len(value) > len(best) || len(value) == len(best) && value < best
		if longer && strings.Contains(msg, value) {
			best, path = value, p
		}
	}
	return path
}

// plainer rewords the library's frequent messages, and adds a hint if there is one.
func plainer(s string) (msg, hint string) {
	s = strings.TrimPrefix(s, "failed to cast to expected type: ")
	if word, ok := strings.CutSuffix(s, ": invalid syntax"); ok {
		return word + " is not a number", ""
	}
	if m := unknownUnit.FindStringSubmatch(s); m != nil {
		return m[1] + " is not a time", place.TimeHint
	}
	if m := unconvertible.FindStringSubmatch(s); m != nil {
		return "must be a " + kindOfGo(m[1]), ""
	}
	for _, m := range plainWords {
		if rest, ok := strings.CutPrefix(s, m.library); ok {
			return fmt.Sprintf(m.plain, strings.Trim(rest, `'" `)), m.hint
		}
	}
	return s, ""
}

// goText matches text that only a Go programmer understands.
var goText = regexp.MustCompile(`interface ?\{|map\[|%!|<nil>|reflect|\btypes\.|\btime\.[A-Z]|strconv|^json: `)

var unknownUnit = regexp.MustCompile(`^time: unknown unit .* in duration (".*")$`)

var unconvertible = regexp.MustCompile(`^expected type '([^']*)', got unconvertible type`)

// kindOfGo returns what a value of a Go type is in a file.
func kindOfGo(name string) string {
	switch {
	case strings.Contains(name, "int"), strings.Contains(name, "float"):
		return "number"
	case strings.HasPrefix(name, "[]"):
		return "list"
	case strings.HasPrefix(name, "map"), strings.Contains(name, "."):
		return "mapping"
	case name == "bool":
		return "true or false"
	}
	return "string"
}

// libraryKinds are the library's names for kinds of values.
var libraryKinds = map[string]keys.Kind{"null": keys.Null, "boolean": keys.Bool, "integer": keys.Int,
	"number": keys.Int | keys.Float,
	"string": keys.Text, "array": keys.List, "mapping": keys.Mapping}

var word = regexp.MustCompile(`[a-z]+`)

// wrongType returns the message and hint for a value n, if known, of a kind that the library doesn't accept.
func wrongType(path, want string, n *yaml.Node) (msg, hint string) {
	if n == nil {
		return "must be a " + strings.ReplaceAll(want, "array", "list"), ""
	}
	var kind keys.Kind
	for _, name := range word.FindAllString(want, -1) {
		kind |= libraryKinds[name]
	}
	return wrongKind(path, n, kind)
}

// timeKeys matches the paths of values that are times.
var timeKeys = regexp.MustCompile(`\.(interval|timeout|start_period|start_interval|delay|monitor|window|` +
	`stop_grace_period)$`)

// plainWords rewords the beginnings of the library's messages. The rest of a message replaces the verb in plain.
var plainWords = []struct{ library, plain, hint string }{
	{"time: invalid duration ", "%q is not a time", place.TimeHint},
	{"time: missing unit in duration ", "%q is not a time", place.TimeHint},
	{"json: unsupported value: ", "%s is a number without a value", "write it in quotes, or write a number"},
	{"invalid size: ", "%q is not a size", "write it as 64m or 1g"},
	{"invalid suffix: ", "%q is not a unit", "write it as 64m or 1g"},
	{"invalid boolean:", "%q is neither true nor false", ""},
	{"additional properties ", "unknown field %s", ""},
	{"false schema", "unknown field%s", ""},
	{"missing property ", "%s is missing", "add it"},
	{"items at ", "items at %s", "keep one of them"},
	{"invalid ip address: ", "%q is not an IP address", ""},
	{"invalid mount config for type \"bind\": field Source must not be empty", "the source is missing%s",
		"write source: with a path"},
}
