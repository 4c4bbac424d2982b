package compose

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"go.yaml.in/yaml/v4"

	"rhumb"
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
	lines    *lines
	bad      *problems
	missing  []missing
	values   map[string]string // paths by value, for messages that name only the value
	warnings []rhumb.Note
	nodes    int // looked at so far
	depth    int // of the one that is looked at
	endless  bool
	told     map[*yaml.Node]bool // keys already reported; an anchor's are met again and again

	including, extending []string
}

// missing is a variable that isn't set, with the value that wants it.
type missing struct {
	absent
	at, path string
	again    bool // met on behalf of a service that extends the one that has it
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
	l := newLines()
	v := &inspector{in: in, lines: l, bad: newProblems(l), told: map[*yaml.Node]bool{}, values: map[string]string{}}
	for _, src := range in.files {
		v.file(scope{src: src, dir: in.dir, lookup: in.lookup, seen: map[seen]bool{}})
	}
	return v
}

// file inspects a file: what it includes, what its services extend, then its own words, which go over those.
func (v *inspector) file(s scope) {
	v.including = append(v.including, s.src.path)
	defer func() { v.including = v.including[:len(v.including)-1] }()
	for _, root := range s.src.roots {
		v.includes(s, child(root, "include"))
		services := child(root, "services")
		v.eachPair(services, func(k, n *yaml.Node) { v.extends(s, services, "services."+k.Value, n) })
		v.walk(s, "", nil, root, specification())
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
func (v *inspector) walk(s scope, path string, key, n *yaml.Node, spec *field) {
	if v.bad.full() {
		return
	}
	if v.nodes++; v.nodes > maxNodes {
		if v.nodes == maxNodes+1 {
			v.bad.add(s.src.name, fmt.Sprintf("the files have more than %d values once aliases are followed", maxNodes), "")
		}
		return
	}
	v.depth++
	defer func() { v.depth-- }()
	if v.depth > maxDepth {
		v.tooDeep(place(s.src.name, n.Line))
		return
	}
	if path != "" && len(path) <= maxPath {
		v.lines.mark(path, place(s.src.name, lineOf(key, n)))
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
		v.bad.add(at, fmt.Sprintf("values are nested more than %d deep, or an alias is inside what it names", maxDepth), "")
	}
	v.endless = true
}

func (v *inspector) mapping(s scope, path string, n *yaml.Node, spec *field) {
	known := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		if k.Value != "<<" {
			continue
		}
		for _, m := range mergedNodes(val) {
			if m != nil {
				v.walk(s, path, k, m, spec)
			}
		}
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		if k.Value == "<<" {
			continue
		}
		at := place(s.src.name, k.Line)
		if line, twice := known[k.Value]; twice {
			if !s.again && !v.told[k] {
				v.told[k] = true
				v.bad.add(at, subject(join(path, k.Value))+": said twice, first in line "+strconv.Itoa(line), "keep one of them")
			}
			continue
		}
		known[k.Value] = k.Line
		if len(k.Value) > maxKey {
			v.bad.add(at, subject(path)+": a key of "+strconv.Itoa(len(k.Value))+" bytes", "keys have at most "+strconv.Itoa(maxKey))
			continue
		}
		next, ok := spec.key(k.Value)
		if !ok {
			if !s.again && !v.told[k] {
				v.told[k] = true
				v.bad.add(at, subject(join(path, k.Value))+": unknown field", spec.hint(k.Value))
			}
			continue
		}
		if k.Value == extensionKey && spec != serviceField() {
			v.bad.add(at, join(path, k.Value)+": only services have it", "move it below a service")
			continue
		}
		v.walk(s, join(path, k.Value), k, val, next)
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func (v *inspector) sequence(s scope, path string, n *yaml.Node, spec *field) {
	if n.Tag == "!override" {
		v.lines.count[path] = 0
	}
	i := v.lines.count[path]
	ports := spec != nil && spec == serviceField().child("ports")
	for _, item := range n.Content {
		width := 1
		if t := target(item); ports && t.Kind == yaml.ScalarNode {
			width = v.port(s, path, t)
		}
		for range max(width, 1) {
			v.walk(s, path+"["+strconv.Itoa(i)+"]", nil, item, spec.item())
			i++
		}
	}
	v.lines.count[path] = i
}

// port checks a port in the short syntax, which the library reports without its place, and tells how many ports it is.
func (v *inspector) port(s scope, path string, n *yaml.Node) int {
	value, _, err := interpolated(n.Value, s.lookup)
	if err != nil || value == "" {
		return 1 // said elsewhere
	}
	count, reason, hint := shortPort(value)
	if reason != "" && !s.again {
		v.bad.add(place(s.src.name, n.Line), subject(path)+": "+reason, hint)
	}
	return count
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
	at := place(s.src.name, n.Line)
	if err != nil {
		v.badValue(at, path, n.Value, err)
		return
	}
	for _, a := range absents {
		v.missing = append(v.missing, missing{a, at, path, s.again})
	}
}

// badValue reports a value whose variables can't be replaced.
func (v *inspector) badValue(at, path, value string, err error) {
	var invalid *template.InvalidTemplateError
	if !errors.As(err, &invalid) {
		v.bad.add(at, subject(path)+": "+err.Error(), "put large text into a file")
		return
	}
	if len(value) > 60 {
		value = "the value"
	} else {
		value = strconv.Quote(value)
	}
	v.bad.add(at, subject(path)+": "+value+" has a $ that begins no variable", "write $$ for a plain $")
}

// includes inspects the files that an include names.
func (v *inspector) includes(s scope, n *yaml.Node) {
	if n == nil || n.Kind != yaml.SequenceNode {
		return
	}
	for _, item := range n.Content {
		item = target(item)
		paths, dir, env := []*yaml.Node{item}, "", []*yaml.Node(nil)
		if item.Kind == yaml.MappingNode {
			paths = scalars(child(item, "path"))
			env = scalars(child(item, "env_file"))
			if d := child(item, "project_directory"); d != nil {
				dir = v.filePath(s, d, s.dir)
			}
		}
		v.include(s, paths, env, dir)
	}
}

func (v *inspector) include(s scope, paths, env []*yaml.Node, dir string) {
	lookup := s.lookup
	for i, n := range paths {
		p := v.filePath(s, n, s.dir)
		if slices.Contains(v.including, p) {
			v.bad.add(place(s.src.name, n.Line), "include: the file "+v.in.shown(p)+" includes itself", "")
			return
		}
		src := v.open(s, n, "include", p)
		if src == nil {
			return
		}
		if i == 0 {
			if dir == "" {
				dir = filepath.Dir(p)
			}
			if lookup = v.includedLookup(s, env, dir); lookup == nil {
				return
			}
		}
		v.file(scope{src: src, dir: dir, lookup: lookup, seen: map[seen]bool{}})
	}
}

// includedLookup puts an included file's env files behind the environment.
func (v *inspector) includedLookup(s scope, env []*yaml.Node, dir string) func(string) (string, bool) {
	own := map[string]string{}
	files := existing(filepath.Join(dir, ".env"))
	if len(env) > 0 {
		files = nil
		for _, n := range env {
			if n.Value != os.DevNull {
				files = append(files, v.filePath(s, n, s.dir))
			}
		}
	}
	for _, f := range files {
		vars, err := v.in.readEnvironment(v.in.env, []string{f})
		if err != nil {
			v.bad.addError(located(err, place(s.src.name, lineOf(nil, firstNode(env, s.src.roots[0]))), "include.env_file"))
			return nil
		}
		maps.Copy(own, vars)
	}
	return func(k string) (string, bool) {
		if x, ok := s.lookup(k); ok {
			return x, ok
		}
		x, ok := own[k]
		return x, ok
	}
}

func firstNode(list []*yaml.Node, other *yaml.Node) *yaml.Node {
	if len(list) > 0 {
		return list[0]
	}
	return other
}

// open reads a file that another one names; a nil source has been reported.
func (v *inspector) open(s scope, n *yaml.Node, what, path string) *source {
	at := place(s.src.name, n.Line)
	if strings.Contains(n.Value, "://") || strings.HasPrefix(n.Value, "git@") {
		v.bad.add(at, what+": "+n.Value+" is elsewhere", "fetch it beside your files: rhumb reads only files")
		return nil
	}
	if len(v.including)+len(v.extending) > maxDepth {
		v.bad.add(at, what+": more than "+strconv.Itoa(maxDepth)+" files deep", "")
		return nil
	}
	src, err := v.in.read(path)
	if err != nil {
		v.bad.addError(located(err, at, what))
		return nil
	}
	return src
}

// located puts a place and subject on an error that has none.
func located(err error, at, what string) *rhumb.Error {
	e, ok := err.(*rhumb.Error)
	if !ok {
		return &rhumb.Error{Code: rhumb.Invalid, At: at, Msg: what + ": " + err.Error(), Err: err}
	}
	if e.At != "" {
		return e
	}
	c := *e
	c.At, c.Msg = at, what+": "+e.Msg
	return &c
}

func (v *inspector) filePath(s scope, n *yaml.Node, dir string) string {
	p, _, err := interpolated(n.Value, s.lookup)
	if err != nil {
		p = n.Value
	}
	if !filepath.IsAbs(p) {
		p = filepath.Join(dir, p)
	}
	return filepath.Clean(p)
}

// scalars gives the strings of a string or a list.
func scalars(n *yaml.Node) []*yaml.Node {
	if n = target(n); n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		return []*yaml.Node{n}
	}
	var list []*yaml.Node
	for _, item := range n.Content {
		list = append(list, target(item))
	}
	return list
}
