package compose

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"rhumb"
	"rhumb/compose/internal/diskfile"
	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

// includes inspects the files of an include.
func (v *inspector) includes(s scope, n *yaml.Node) {
	if n == nil || n.Kind != yaml.SequenceNode {
		return // the walk reports it
	}
	for _, item := range n.Content {
		item = target(item)
		if item.ShortTag() == "!!null" || item.Kind == yaml.SequenceNode {
			continue
		}
		paths, dir, env := []*yaml.Node{item}, "", []*yaml.Node(nil)
		if item.Kind == yaml.MappingNode {
			paths = scalars(child(item, "path"))
			env = slices.DeleteFunc(scalars(child(item, "env_file")), func(n *yaml.Node) bool { return kindOf(n) == keys.Null })
			if d := child(item, "project_directory"); d != nil && kindOf(d) != keys.Null {
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
			v.halt(place.At(s.src.name, n.Line), "include: the file "+v.in.shown(p)+" includes itself",
				"leave one of the includes out")
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
		v.file(scope{src: src, dir: dir, lookup: lookup, seen: map[seen]bool{}, partial: len(paths) > 1})
	}
}

// includedLookup returns a lookup in the environment, and then in an included file's env files.
func (v *inspector) includedLookup(s scope, env []*yaml.Node, dir string) func(string) (string, bool) {
	files := diskfile.Existing(filepath.Join(dir, ".env"))
	if len(env) > 0 {
		files = nil
		for _, n := range env {
			if n.Value != os.DevNull {
				files = append(files, v.filePath(s, n, s.dir))
			}
		}
	}
	own, unset, err := v.in.readEnvFiles(files, s.lookup)
	v.missing = append(v.missing, unset...)
	if err != nil {
		v.stuck = true
	}
	var several rhumb.Errors
	switch {
	case errors.As(err, &several):
		for _, e := range several {
			v.bad.AddError(e)
		}
		return nil
	case err != nil:
		v.bad.AddError(located(err, place.At(s.src.name, lineOf(nil, firstNode(env, s.src.roots[0]))), "include.env_file"))
		return nil
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

// open reads a file that another one names. It returns nil if it has reported a mistake.
func (v *inspector) open(s scope, n *yaml.Node, what, path string) *source {
	at := place.At(s.src.name, n.Line)
	if strings.Contains(n.Value, "://") || strings.HasPrefix(n.Value, "git@") {
		v.halt(at, what+": "+n.Value+" is remote", "download it: rhumb reads only local files")
		return nil
	}
	if len(v.including)+len(v.extending) > maxDepth {
		v.halt(at, what+": more than "+strconv.Itoa(maxDepth)+" files deep", "include or extend fewer files")
		return nil
	}
	src, err := v.in.read(path)
	if err != nil {
		v.stuck = true
		v.bad.AddError(located(err, at, what))
		return nil
	}
	if src.emptyLine > 0 { // the library itself reads this file
		v.halt(place.At(src.name, src.emptyLine), "a document is empty", emptyHint)
	}
	return src
}

// located adds a place and a subject to an error that has none.
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

// scalars returns the strings of a string or a list.
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
