package compose

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"

	"rhumb"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

const (
	maxNodes   = 100_000 // YAML nodes inspected in all files: aliases can multiply
	maxAliased = 10_000  // the same if 99 of 100 nodes are inspected through aliases
	maxDepth   = 50      // of YAML nodes, and of includes and extends
	maxPath    = 512     // bytes of a path whose line is recorded
	maxKey     = 256     // bytes of a key
)

// inspector inspects the files, and the files that they include and extend, before the library does. It finds all
// mistakes that need no merged model, and records the line of every value.
type inspector struct {
	in       *input
	lines    *place.Lines
	bad      *place.Problems
	missing  []missing
	values   map[string]string // paths by value, for messages that contain only the value
	warnings []rhumb.Note
	nodes    map[string]*yaml.Node // by path
	looked   int                   // how many nodes were looked at
	depth    int                   // of the one that is looked at
	endless  bool
	reported map[*yaml.Node]bool // reported mistakes; an anchor's nodes are visited several times
	cut      map[*yaml.Node]bool // mistakes in the files of in.files: see prune
	stuck    bool                // something is wrong that can't be cut out
	read     map[*source]bool    // files that readable has looked at
	empty    map[string]emptied  // keys of extended services in other files that have no value, by path
	aliases  []*yaml.Node        // those that are being followed
	unplaced *rhumb.Error        // what the library reports without a place: reported if nothing else is
	aliased  int                 // how many nodes were looked at by way of aliases
	widest   width               // the alias that stands for the most nodes

	including, extending []string
}

// width is how many nodes an alias stands for.
type width struct {
	src         *source
	line, nodes int
}

// emptied is a value that is missing, unless an extending service has it.
type emptied struct {
	scope
	node *yaml.Node
	line int
}

// missing is an unset variable, with the value that needs it.
type missing struct {
	absent
	at, path string
	again    bool // found through a service that extends the one with the value
	envFile  bool // in an env or label file; path is the name of the variable with the value
}

// scope is the context in which a file's values are read.
type scope struct {
	src     *source
	dir     string // the base of its relative paths
	lookup  func(string) (string, bool)
	foreign bool          // read because of an extends: only the services that are extended count
	again   bool          // inspected for an extending service; the mistakes are reported for the extended one
	partial bool          // another file or service may add keys
	seen    map[seen]bool // inspected scalars; an anchor's are visited several times
}

// seen is a scalar at a path.
type seen struct {
	node *yaml.Node
	path string
}

// inspect inspects the files; mistakes go to bad.
func inspect(in *input, bad *place.Problems) *inspector {
	l := place.NewLines()
	bad.SetLines(l)
	v := &inspector{in: in, missing: in.missing, lines: l, bad: bad, reported: map[*yaml.Node]bool{},
		cut: map[*yaml.Node]bool{}, values: map[string]string{},
		nodes: map[string]*yaml.Node{}, empty: map[string]emptied{},
		read: map[*source]bool{}}
	for _, src := range in.files {
		v.file(scope{src: src, dir: in.dir, lookup: in.lookup, seen: map[seen]bool{}, partial: len(in.files) > 1})
	}
	for _, path := range slices.Sorted(maps.Keys(v.empty)) {
		e := v.empty[path]
		v.wrong(e.scope, e.node, e.line, subject(path)+": it has no value",
			"write one here, or in the services that extend this one")
	}
	return v
}

// wrong reports a mistake, once, and records its node.
func (v *inspector) wrong(s scope, n *yaml.Node, line int, msg, hint string) {
	v.stuck = v.stuck || !slices.Contains(v.in.files, s.src)
	v.cut[n] = true
	if !s.again && !v.reported[n] {
		v.reported[n] = true
		v.bad.Add(place.At(s.src.name, line), msg, hint)
	}
}

// halt reports a mistake that makes the library fail whatever is cut out.
func (v *inspector) halt(at, msg, hint string) {
	v.stuck = true
	v.bad.Add(at, msg, hint)
}

// file inspects a file: its includes, then what its services extend, then its own values, which override those.
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

// eachPair calls f for each of a mapping's own keys.
func (v *inspector) eachPair(n *yaml.Node, f func(k, v *yaml.Node)) {
	if n = target(n); n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != "<<" {
			f(target(n.Content[i]), n.Content[i+1])
		}
	}
}

// walk records the places of a node and everything below it, and reports unknown fields, duplicate keys, unset
// variables and bad ports.
func (v *inspector) walk(s scope, path string, key, n *yaml.Node, spec *keys.Field) {
	if v.bad.Full() {
		return
	}
	v.looked++
	if len(v.aliases) > 0 {
		v.aliased++
	}
	if v.looked > maxNodes || v.looked > maxAliased && v.aliased*100 > v.looked*99 {
		v.tooMany(s, n)
		return
	}
	v.depth++
	defer func() { v.depth-- }()
	if v.depth > maxDepth {
		v.tooDeep(place.At(s.src.name, n.Line))
		return
	}
	if n.Kind == yaml.AliasNode {
		before := v.looked
		v.aliases = append(v.aliases, n)
		v.walk(s, path, key, n.Alias, spec)
		v.aliases = v.aliases[:len(v.aliases)-1]
		if w := v.looked - before; len(v.aliases) == 0 && w > v.widest.nodes {
			v.widest = width{s.src, n.Line, w}
		}
		return
	}
	s.partial = s.partial || spec == keys.Service() && child(n, "extends") != nil
	fits := v.fits(s, path, key, n, spec)
	v.mark(s, path, key, n)
	if !fits {
		return
	}
	switch n.Kind {
	case yaml.MappingNode:
		v.mapping(s, path, n, spec)
	case yaml.SequenceNode:
		v.sequence(s, path, n, spec)
	case yaml.ScalarNode:
		v.scalar(s, path, n)
	}
}

// mark records the place of a path.
func (v *inspector) mark(s scope, path string, key, n *yaml.Node) {
	if path != "" && len(path) <= maxPath {
		v.lines.Mark(path, place.At(s.src.name, lineOf(key, n)), n)
		v.nodes[path] = n
	}
}

// tooMany reports, once, that there are too many values, at the alias that causes most of them, if there is one.
func (v *inspector) tooMany(s scope, n *yaml.Node) {
	if v.looked > maxNodes+1 {
		return
	}
	v.looked = maxNodes + 1
	hint := "write fewer, or split the stack"
	if len(v.aliases) > 0 {
		n, hint = v.aliases[0], "use fewer aliases of aliases"
	}
	v.halt(place.At(s.src.name, n.Line), "the files have too many values once aliases, includes and extends are followed",
		hint)
}

func lineOf(key, n *yaml.Node) int {
	if key != nil {
		return key.Line
	}
	return n.Line
}

// tooDeep reports, once, that values are nested too deep, which may be an alias inside its own anchor.
func (v *inspector) tooDeep(at string) {
	if !v.endless {
		v.halt(at, fmt.Sprintf("values are nested more than %d deep, or an alias is inside its own anchor", maxDepth),
			"look for an alias of what it is in")
	}
	v.endless = true
}

func (v *inspector) mapping(s scope, path string, n *yaml.Node, spec *keys.Field) {
	merged := 0
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		switch {
		case k.Value != "<<":
			continue
		case merged > 0:
			v.wrong(s, k, k.Line, fmt.Sprintf("%s: << is set twice, first in line %d", subject(path), merged), mergeHint)
		default:
			v.merge(s, path, k, val, spec)
		}
		merged = k.Line
	}
	known := map[string]int{}
	v.eachPair(n, func(k, val *yaml.Node) {
		if v.bad.Full() {
			return
		}
		next, ok := spec.Key(k.Value)
		if msg, hint := keyMistake(path, k, known[k.Value], spec, ok); msg != "" {
			v.wrong(s, k, k.Line, msg, hint)
			v.mark(s, place.Join(path, k.Value), k, val)
			return
		}
		known[k.Value] = k.Line
		if k.Value == keys.Extension && spec == keys.Specification() && len(v.including) > 1 {
			v.wrong(s, k, k.Line, k.Value+": an included file can't have it", "move it to the file that includes this one")
			return
		}
		if key := keys.Refused(place.Join(path, k.Value)); key != nil && len(target(val).Content) > 0 {
			v.wrong(s, k, k.Line, k.Value+": "+key.Refusal(), key.Hint())
			return
		}
		v.walk(s, place.Join(path, k.Value), k, val, next)
		if spec != nil && v.cut[target(val)] && slices.Contains(spec.Required, k.Value) {
			v.cut[n] = true // without its key the value would be wrong for another reason
		}
	})
}

const (
	mergeMistake = "<< merges mappings, and this isn't one"
	mergeHint    = "name a mapping: <<: *name, or a list of them: <<: [*one, *two]"
)

// merge walks the mappings of a merge key.
func (v *inspector) merge(s scope, path string, k, val *yaml.Node, spec *keys.Field) {
	list := mergedNodes(val)
	for _, m := range list {
		if target(m).Kind != yaml.MappingNode {
			v.wrong(s, k, k.Line, subject(path)+": "+mergeMistake, mergeHint)
			v.mark(s, place.Join(path, "<<"), k, val)
			return
		}
	}
	for _, m := range list {
		v.walk(s, path, k, m, spec)
	}
}

// keyMistake returns what is wrong with a key: a duplicate (first in line before), unknown, misplaced or too long.
func keyMistake(path string, k *yaml.Node, before int, spec *keys.Field, known bool) (msg, hint string) {
	what := place.Subject(place.Join(path, k.Value))
	if msg, hint := nameMistake(path, k, spec); msg != "" && len(k.Value) <= maxKey {
		return msg, hint
	}
	switch {
	case len(k.Value) > maxKey:
		return place.Subject(path) + ": a key of " + strconv.Itoa(len(k.Value)) + " bytes", "keys have at most " +
			strconv.Itoa(maxKey)
	case before > 0:
		return what + ": set twice, first in line " + strconv.Itoa(before), "keep one of them"
	case !known:
		return what + ": unknown field", spec.Hint(k.Value)
	case k.Value == keys.Extension && spec != nil && spec != keys.Service() && spec != keys.Specification():
		return what + ": only services and the top level have it", "move it below a service"
	}
	return "", ""
}

func (v *inspector) sequence(s scope, path string, n *yaml.Node, spec *keys.Field) {
	if n.Tag == "!override" {
		v.lines.Count[path] = 0
	}
	i := v.lines.Count[path]
	ports := spec != nil && spec == keys.Service().Child("ports")
	volumes := spec != nil &&
		(spec == keys.Service().Child("volumes") || spec == keys.Service().Child("pre_start").Item().Child("volumes"))
	for _, item := range n.Content {
		width := 1
		t := target(item)
		if ports && t.Kind == yaml.ScalarNode {
			width = v.port(s, path, t)
		}
		if volumes && t.Kind == yaml.ScalarNode {
			v.volume(s, path, t)
		}
		if name, _, _ := strings.Cut(t.Value, "="); name != "" && spec.Named() && len(path)+len(name) < maxPath {
			v.lines.Mark(place.Join(path, name), place.At(s.src.name, item.Line), t) // a mapping in the form of a list
		}
		for range max(width, 1) {
			v.walk(s, path+"["+strconv.Itoa(i)+"]", nil, item, spec.Item())
			i++
		}
	}
	v.lines.Count[path] = i
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
		v.badValue(s, path, n, err)
		return
	}
	for _, a := range absents {
		if a.required || !v.in.opts.AllowUnset {
			v.bad.MarkUnset(path)
		}
		v.missing = append(v.missing, missing{absent: a, at: at, path: path, again: s.again})
	}
}

// badValue reports a value whose variables can't be replaced.
func (v *inspector) badValue(s scope, path string, n *yaml.Node, err error) {
	var invalid *template.InvalidTemplateError
	if !errors.As(err, &invalid) {
		v.wrong(s, n, n.Line, place.Subject(path)+": "+err.Error(), "put large text into a file")
		return
	}
	value := "the value"
	if len(n.Value) <= 60 {
		value = strconv.Quote(n.Value)
	}
	v.wrong(s, n, n.Line, place.Subject(path)+": "+value+" has a $ that doesn't begin a variable",
		"write $$ for a literal $")
}
