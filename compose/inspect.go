package compose

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"

	"rhumb"
	"rhumb/compose/internal/convert"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

const (
	maxNodes = 100_000 // YAML nodes looked at in all files: aliases can multiply
	maxDepth = 50      // of YAML nodes, and of includes and extends
	maxPath  = 512     // bytes of a path whose line is remembered
	maxKey   = 256     // bytes of a key
)

// inspector looks through the files, and the files that they include and extend, before the library does: it finds
// all the mistakes that need no merged model, and remembers where everything is.
type inspector struct {
	in       *input
	lines    *place.Lines
	bad      *place.Problems
	missing  []missing
	values   map[string]string // paths by value, for messages that name only the value
	warnings []rhumb.Note
	nodes    map[string]*yaml.Node // by path
	looked   int                   // how many nodes were looked at
	depth    int                   // of the one that is looked at
	endless  bool
	told     map[*yaml.Node]bool // keys already reported; an anchor's are met again and again

	including, extending []string
}

// missing is a variable that isn't set, with the value that wants it.
type missing struct {
	absent
	at, path string
	again    bool // met on behalf of a service that extends the one that has it
	envFile  bool // met in an env or label file: the path is the name that has the value
}

// scope is where and how a file's values are read.
type scope struct {
	src     *source
	dir     string // where its relative paths start
	lookup  func(string) (string, bool)
	foreign bool          // read because of an extends: only the services that are extended count
	again   bool          // on behalf of a service that extends one of this very file: its mistakes are told there
	seen    map[seen]bool // scalars looked at; an anchor's are met again and again
}

// seen is a scalar at a path.
type seen struct {
	node *yaml.Node
	path string
}

func inspect(in *input) *inspector {
	l := place.NewLines()
	v := &inspector{in: in, missing: in.missing, lines: l, bad: place.NewProblems(l), told: map[*yaml.Node]bool{}, values: map[string]string{}, nodes: map[string]*yaml.Node{}}
	for _, src := range in.files {
		v.file(scope{src: src, dir: in.dir, lookup: in.lookup, seen: map[seen]bool{}})
	}
	return v
}

// file inspects a file: what it includes, what its services extend, then its own words, which go over those.
func (v *inspector) file(s scope) {
	if v.looked > maxNodes {
		return
	}
	v.including = append(v.including, s.src.path)
	defer func() { v.including = v.including[:len(v.including)-1] }()
	for _, root := range s.src.roots {
		v.includes(s, child(root, "include"))
		services := child(root, "services")
		v.eachPair(services, func(k, n *yaml.Node) { v.extends(s, services, "services."+k.Value, n) })
		v.walk(s, "", nil, root, keys.Specification())
	}
}

// eachPair calls f for each own key of a mapping.
func (v *inspector) eachPair(n *yaml.Node, f func(k, v *yaml.Node)) {
	if n = target(n); n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "<<" {
			f(n.Content[i], n.Content[i+1])
		}
	}
}

// walk marks the places of a node and all below, and reports unknown fields, doubled keys, missing variables and bad ports.
func (v *inspector) walk(s scope, path string, key, n *yaml.Node, spec *keys.Field) {
	if v.bad.Full() {
		return
	}
	if v.looked++; v.looked > maxNodes {
		if v.looked == maxNodes+1 {
			v.bad.Add(s.src.name, fmt.Sprintf("the files have more than %d values once aliases, includes and extends are followed", maxNodes), "")
		}
		return
	}
	v.depth++
	defer func() { v.depth-- }()
	if v.depth > maxDepth {
		v.tooDeep(place.At(s.src.name, n.Line))
		return
	}
	if path != "" && len(path) <= maxPath {
		v.lines.Mark(path, place.At(s.src.name, lineOf(key, n)))
		v.nodes[path] = target(n)
	}
	switch n.Kind {
	case yaml.AliasNode:
		v.walk(s, path, key, n.Alias, spec)
	case yaml.MappingNode:
		v.mapping(s, path, n, spec)
	case yaml.SequenceNode:
		v.sequence(s, path, n, spec)
	case yaml.ScalarNode:
		v.scalar(s, path, n)
	}
}

func lineOf(key, n *yaml.Node) int {
	if key != nil {
		return key.Line
	}
	return n.Line
}

// tooDeep reports, once, values inside values without end: an alias inside what it names, if nothing else.
func (v *inspector) tooDeep(at string) {
	if !v.endless {
		v.bad.Add(at, fmt.Sprintf("values are nested more than %d deep, or an alias is inside what it names", maxDepth), "")
	}
	v.endless = true
}

func (v *inspector) mapping(s scope, path string, n *yaml.Node, spec *keys.Field) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if k, val := n.Content[i], n.Content[i+1]; k.Value == "<<" {
			for _, m := range mergedNodes(val) {
				v.walk(s, path, k, m, spec)
			}
		}
	}
	known := map[string]int{}
	v.eachPair(n, func(k, val *yaml.Node) {
		next, ok := spec.Key(k.Value)
		if msg, hint := keyMistake(path, k, known[k.Value], spec, ok); msg != "" {
			if !s.again && !v.told[k] {
				v.told[k] = true
				v.bad.Add(place.At(s.src.name, k.Line), msg, hint)
			}
			return
		}
		known[k.Value] = k.Line
		v.walk(s, place.Join(path, k.Value), k, val, next)
	})
}

// keyMistake says what is wrong with a key: said twice (first in line before), unknown, misplaced or endless.
func keyMistake(path string, k *yaml.Node, before int, spec *keys.Field, known bool) (msg, hint string) {
	what := place.Subject(place.Join(path, k.Value))
	switch {
	case len(k.Value) > maxKey:
		return place.Subject(path) + ": a key of " + strconv.Itoa(len(k.Value)) + " bytes", "keys have at most " + strconv.Itoa(maxKey)
	case before > 0:
		return what + ": said twice, first in line " + strconv.Itoa(before), "keep one of them"
	case !known:
		return what + ": unknown field", spec.Hint(k.Value)
	case k.Value == keys.Extension && spec != keys.Service():
		return what + ": only services have it", "move it below a service"
	}
	return "", ""
}

func (v *inspector) sequence(s scope, path string, n *yaml.Node, spec *keys.Field) {
	if n.Tag == "!override" {
		v.lines.Count[path] = 0
	}
	i := v.lines.Count[path]
	ports := spec != nil && spec == keys.Service().Child("ports")
	volumes := spec != nil && (spec == keys.Service().Child("volumes") || spec == keys.Service().Child("pre_start").Item().Child("volumes"))
	for _, item := range n.Content {
		width := 1
		t := target(item)
		if ports && t.Kind == yaml.ScalarNode {
			width = v.port(s, path, t)
		}
		if volumes && t.Kind == yaml.ScalarNode {
			v.volumeModes(s, path, t)
		}
		if name, _, _ := strings.Cut(t.Value, "="); name != "" && spec.Named() && len(path)+len(name) < maxPath {
			v.lines.Mark(place.Join(path, name), place.At(s.src.name, item.Line)) // a mapping, written as a list
		}
		for range max(width, 1) {
			v.walk(s, path+"["+strconv.Itoa(i)+"]", nil, item, spec.Item())
			i++
		}
	}
	v.lines.Count[path] = i
}

// port checks a port in the short syntax, which the library reports without its place, and tells how many ports it is.
func (v *inspector) port(s scope, path string, n *yaml.Node) int {
	value, _, err := interpolated(n.Value, s.lookup)
	if err != nil || value == "" {
		return 1 // said elsewhere
	}
	count, reason, hint := convert.ShortPort(value)
	if reason != "" && !s.again {
		v.bad.Add(place.At(s.src.name, n.Line), place.Subject(path)+": "+reason, hint)
	}
	return count
}

// volumeModes checks the modes of a volume in the short syntax.
func (v *inspector) volumeModes(s scope, path string, n *yaml.Node) {
	value, _, err := interpolated(n.Value, s.lookup)
	if err != nil || s.again {
		return // reported elsewhere
	}
	if reason, hint := convert.VolumeModes(value); reason != "" {
		v.bad.Add(place.At(s.src.name, n.Line), place.Subject(path)+": "+reason, hint)
	}
}

func (v *inspector) scalar(s scope, path string, n *yaml.Node) {
	if s.seen[seen{n, path}] {
		return
	}
	s.seen[seen{n, path}] = true
	value, absents, err := interpolated(n.Value, s.lookup)
	if len(value) > 2 && len(value) < 200 && strings.HasPrefix(path, "services.") {
		v.values[value] = path
	}
	at := place.At(s.src.name, n.Line)
	if err != nil {
		v.badValue(at, path, n.Value, err)
		return
	}
	for _, a := range absents {
		v.missing = append(v.missing, missing{absent: a, at: at, path: path, again: s.again})
	}
}

// badValue reports a value whose variables can't be replaced.
func (v *inspector) badValue(at, path, value string, err error) {
	var invalid *template.InvalidTemplateError
	if !errors.As(err, &invalid) {
		v.bad.Add(at, place.Subject(path)+": "+err.Error(), "put large text into a file")
		return
	}
	if len(value) > 60 {
		value = "the value"
	} else {
		value = strconv.Quote(value)
	}
	v.bad.Add(at, place.Subject(path)+": "+value+" has a $ that begins no variable", "write $$ for a plain $")
}
