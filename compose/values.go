package compose

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

// kinds are the kinds of scalars by tag. Other tags, such as !override, don't determine the kind.
var kinds = map[string]keys.Kind{"!!null": keys.Null, "!!bool": keys.Bool, "!!int": keys.Int, "!!float": keys.Float,
	"!!timestamp": keys.Date}

func kindOf(n *yaml.Node) keys.Kind {
	switch n.Kind {
	case yaml.MappingNode:
		return keys.Mapping
	case yaml.SequenceNode:
		return keys.List
	}
	if k, ok := kinds[n.ShortTag()]; ok {
		return k
	}
	return keys.Text
}

// fits reports whether a value is of a kind that its key accepts. If it isn't, that is a mistake, and the value is
// kept from the library.
func (v *inspector) fits(s scope, path string, key, n *yaml.Node, spec *keys.Field) bool {
	if n.Tag == "!reset" {
		return true
	}
	msg, hint := badScalar(n)
	if kind := kindOf(n); msg == "" && spec != nil && spec.Kinds != 0 && spec.Kinds&kind == 0 &&
		(spec.Kinds&keys.Int == 0 || !whole(n)) {
		if kind == keys.Null && v.said(s, path, key, n) {
			return true
		}
		msg, hint = wrongKind(path, n, spec.Kinds)
	}
	if msg == "" {
		msg, hint = v.incomplete(s, path, n, spec)
	}
	if msg == "" {
		delete(v.empty, path)
		return true
	}
	v.wrong(s, n, lineOf(key, n), subject(path)+": "+msg, hint)
	return false
}

// whole reports whether a value is a number without a fraction, such as 2.0.
func whole(n *yaml.Node) bool {
	var f float64
	return kindOf(n) == keys.Float && n.Decode(&f) == nil && f == math.Trunc(f) && math.Abs(f) < 1<<53
}

// said reports whether a key without a value is harmless: an earlier file or an extending service may set it.
func (v *inspector) said(s scope, path string, key, n *yaml.Node) bool {
	if s.foreign {
		v.empty[path] = emptied{s, n, lineOf(key, n)}
		return true
	}
	if s.src.top("include") != nil && !strings.Contains(path, ".") {
		return false // included files aren't merged with it
	}
	before := v.nodes[path]
	return before != nil && before != n && kindOf(before) != keys.Null
}

// badScalar returns what is wrong with a scalar, whatever its key.
func badScalar(n *yaml.Node) (msg, hint string) {
	if n.Kind != yaml.ScalarNode {
		return "", ""
	}
	if n.Style&yaml.TaggedStyle != 0 {
		var any any
		if err := decodeNode(n, &any); err != nil {
			return fmt.Sprintf("%q can't be read as %s", short(n.Value), n.ShortTag()), "leave the tag out"
		}
	}
	if n.ShortTag() == "!!float" {
		var f float64
		if err := n.Decode(&f); err == nil && (math.IsInf(f, 0) || math.IsNaN(f)) {
			return n.Value + " is a number without a value", "write it in quotes, or write a number"
		}
	}
	return "", ""
}

// decodeNode decodes a node. It turns a panic of the YAML library into an error.
func decodeNode(n *yaml.Node, to any) (err error) {
	defer recovered(&err)
	return n.Decode(to)
}

// short returns a text, shortened for messages.
func short(s string) string {
	if len(s) > 60 {
		return strings.ToValidUTF8(s[:57], "") + "..."
	}
	return s
}

// subject returns a path as messages name it; the top of a file is "the file".
func subject(path string) string {
	if serviceName.MatchString(path) {
		return path
	}
	if path == "" {
		return "the file"
	}
	return place.Subject(path)
}

var kindWords = []struct {
	kind keys.Kind
	word string
}{{keys.Text, "string"}, {keys.Int, "number"}, {keys.Bool, "true or false"}, {keys.List, "list"},
	{keys.Mapping, "mapping"}}

// wrongKind returns the message and hint for a value of another kind than the wanted ones.
func wrongKind(path string, n *yaml.Node, want keys.Kind) (msg, hint string) {
	if n.ShortTag() == "!!null" {
		return "it has no value", nullHint(path, want)
	}
	var names []string
	for _, k := range kindWords {
		if want&k.kind != 0 && (k.kind != keys.Text || want&(keys.Bool|keys.Int) != keys.Bool) {
			names = append(names, k.word)
		}
	}
	msg = "must be " + place.Or(names)
	if len(names) > 0 && names[0] != "true or false" {
		msg = "must be a " + place.Or(names)
	}
	switch kind := kindOf(n); {
	case serviceName.MatchString(path):
		msg = "a service must be a mapping"
	case kind == keys.Date && want&keys.Text != 0:
		msg = "a date isn't a string"
	case kind == keys.Float && want&keys.Int != 0:
		msg = "must be a whole number"
	}
	return msg, kindHint(path, n, want)
}

func nullHint(path string, want keys.Kind) string {
	switch {
	case strings.HasSuffix(path, "]"):
		return "write one, or leave the item out"
	case path == "services":
		return "write at least one service below it"
	case serviceName.MatchString(path):
		return "write at least image: or build: below it"
	case want == keys.Mapping && strings.Count(path, ".") == 1:
		return "write {} if it needs nothing"
	}
	return "write one, or leave the key out"
}

var serviceName = regexp.MustCompile(`^services\.[^.]+$`)

// kindHint returns how to write a value of the wanted kinds.
func kindHint(path string, n *yaml.Node, want keys.Kind) string {
	scalar := n.Kind == yaml.ScalarNode
	switch {
	case serviceName.MatchString(path):
		return misplaced(path, n)
	case n.Kind == yaml.MappingNode && want == keys.Text && strings.HasSuffix(path, "]"):
		return mappingInList(n)
	case n.Kind == yaml.MappingNode && want == keys.List:
		return "write its items below it, each after a -"
	case n.Kind == yaml.MappingNode && strings.HasSuffix(place.Unindexed(path), ".volumes"):
		return "a mapping needs target, and a type: volume, bind or tmpfs"
	case scalar && timeKeys.MatchString(path):
		return place.TimeHint
	case scalar && want&keys.Text != 0:
		return fmt.Sprintf("write it in quotes: %q", short(n.Value))
	case scalar && want&keys.List != 0 && want&keys.Mapping == 0:
		return fmt.Sprintf("write it as a list: [%q]", short(n.Value))
	case want&keys.Mapping != 0:
		return "write name: value, a line each, below it"
	case n.Kind == yaml.SequenceNode && want == keys.Text && len(n.Content) == 1:
		return "take the item out of the list"
	case want&keys.Bool != 0:
		return "write true or false"
	}
	return ""
}

// misplaced returns a hint for a service that isn't a mapping: it may be a key of the service above.
func misplaced(path string, n *yaml.Node) string {
	name := strings.TrimPrefix(path, "services.")
	if _, known := keys.Service().Key(name); known && keys.Service().Child(name) != nil {
		return name + " belongs to a service: look at the indentation"
	}
	if n.Kind == yaml.ScalarNode {
		return "write image: " + strings.TrimSpace(short(n.Value)) + " below it"
	}
	return "write keys such as image: below it"
}

// mappingInList returns a hint for "- NAME: value" in a list of strings.
func mappingInList(n *yaml.Node) string {
	if len(n.Content) == 2 && n.Content[0].Kind == yaml.ScalarNode && n.Content[1].Kind == yaml.ScalarNode {
		return fmt.Sprintf("write it in quotes: %q", short(n.Content[0].Value+": "+n.Content[1].Value))
	}
	return "write it in quotes"
}

// incomplete returns what is wrong with a value of the right kind: an unknown word, a number out of range, a missing
// key.
func (v *inspector) incomplete(s scope, path string, n *yaml.Node, spec *keys.Field) (msg, hint string) {
	if spec == nil {
		return "", ""
	}
	switch kindOf(n) {
	case keys.Text:
		return v.badWord(s, path, n, spec)
	case keys.Int, keys.Float:
		return outOfBounds(n, spec)
	case keys.Mapping:
		return v.missingKey(s, path, n, spec)
	}
	return "", ""
}

// badWord checks a string that must be one of several words.
func (v *inspector) badWord(s scope, path string, n *yaml.Node, spec *keys.Field) (msg, hint string) {
	if spec.Words == nil && spec.Pattern == nil {
		return "", ""
	}
	value, absents, err := interpolated(n.Value, s.lookup)
	if err != nil || len(absents) > 0 && !v.in.opts.AllowUnset {
		return "", "" // reported elsewhere
	}
	what := place.Unindexed(path)
	what = what[strings.LastIndexByte(what, '.')+1:]
	switch {
	case spec.Words != nil && !slices.Contains(spec.Words, value):
		return fmt.Sprintf("unknown %s %q", what, short(value)), choose(value, spec.Words)
	case spec.Pattern != nil && !spec.Pattern.MatchString(value):
		return fmt.Sprintf("%q isn't allowed here", short(value)), patternHints[what]
	}
	return "", ""
}

var patternHints = map[string]string{"pull_policy": "choose always, missing, never or build",
	"container_name": "use at least two letters or digits"}

func choose(value string, words []string) string {
	if c := place.Closest(value, words); c != "" && value != "" {
		return "did you mean " + c + "?"
	}
	return "choose " + place.Or(words)
}

func outOfBounds(n *yaml.Node, spec *keys.Field) (msg, hint string) {
	var f float64
	if spec.Min == nil || n.Decode(&f) != nil {
		return "", ""
	}
	switch {
	case spec.Max == nil && f < *spec.Min:
		return n.Value + " is too small", "write at least " + strconv.FormatFloat(*spec.Min, 'f', -1, 64)
	case spec.Max != nil && (f < *spec.Min || f > *spec.Max):
		return n.Value + " is out of range", fmt.Sprintf("write a number from %.0f to %.0f", *spec.Min, *spec.Max)
	}
	return "", ""
}

// missingKey checks for the required keys of a mapping, where no other file or service can add them.
func (v *inspector) missingKey(s scope, path string, n *yaml.Node, spec *keys.Field) (msg, hint string) {
	if s.partial {
		return "", ""
	}
	for _, key := range spec.Required {
		if child(n, key) == nil {
			return key + " is missing", strings.TrimSpace("add " + key + ": " + place.Or(spec.Child(key).Words))
		}
	}
	return "", ""
}

// nameMistake returns what is wrong with a key that should be a name or a field: it isn't a string, or isn't a valid
// name.
func nameMistake(path string, k *yaml.Node, spec *keys.Field) (msg, hint string) {
	switch {
	case k.Kind != yaml.ScalarNode:
		return subject(path) + ": a key is a list or a mapping", "write values with braces in quotes, as in \"{{ name }}\""
	case k.ShortTag() == "!!null":
		return subject(path) + ": a key has no name", "write one before the colon"
	case kindOf(k) != keys.Text:
		return fmt.Sprintf("%s: the key %s isn't text", subject(path), short(k.Value)),
			fmt.Sprintf("write it in quotes: %q", short(k.Value))
	case spec == nil:
	case k.Value == "" && spec.Named():
		return subject(path) + ": a name is empty", "write one before the colon"
	case !spec.Names(k.Value) && spec.Named():
		return place.Join(path, short(k.Value)) + ": a name has only letters, digits, . _ and -", "choose another name"
	}
	return "", ""
}
