package compose

import (
	"fmt"
	"path/filepath"
	"slices"

	"go.yaml.in/yaml/v4"

	"rhumb/compose/internal/place"

	"rhumb/compose/internal/keys"
)

// extends walks what a service extends under the service's own path, to mark the lines. The service itself is walked
// later, so its own lines replace them.
func (v *inspector) extends(s scope, services *yaml.Node, path string, n *yaml.Node) {
	ext := child(n, "extends")
	if ext == nil || v.looked > maxNodes || v.bad.Full() {
		return
	}
	if len(v.extending) >= maxDepth {
		v.halt(place.At(s.src.name, ext.Line), fmt.Sprintf("extends: more than %d services deep", maxDepth),
			"extend fewer services")
		return
	}
	service, file, ok := v.extended(s, path, ext)
	if !ok {
		return
	}
	name, _, _ := interpolated(service.Value, s.lookup)
	from := s
	if file != nil {
		p := v.filePath(s, file, s.dir)
		src := v.open(s, file, place.Subject(path)+".extends", p)
		if src == nil {
			return
		}
		v.readable(scope{src: src}, src)
		from = scope{src: src, dir: filepath.Dir(p), lookup: s.lookup, seen: s.seen, foreign: true, partial: true}
		services = src.top("services")
	}
	base := child(services, name)
	if base == nil {
		v.notExtended(s, from, service, services, path)
		return
	}
	id := from.src.path + "\x00" + name
	if slices.Contains(v.extending, id) {
		v.halt(place.At(s.src.name, ext.Line), place.Subject(path)+".extends: the service extends itself",
			"leave one of the extends out")
		return
	}
	from.again = from.src == s.src && !s.foreign
	v.extending = append(v.extending, id)
	v.extends(from, services, path, base)
	v.extending = v.extending[:len(v.extending)-1]
	v.walk(from, path, nil, base, keys.Service())
}

// extended returns the nodes that name the extended service and its file, if that is another one. false means that
// one is wrong, which has been reported.
func (v *inspector) extended(s scope, path string, ext *yaml.Node) (service, file *yaml.Node, ok bool) {
	service = ext
	if ext.Kind == yaml.MappingNode {
		service, file = child(ext, "service"), child(ext, "file")
	}
	switch {
	case service != nil && kindOf(service) != keys.Text, file != nil && kindOf(file) != keys.Text:
		return nil, nil, false // the walk reports it
	case service == nil, service.Value == "":
		v.halt(place.At(s.src.name, ext.Line), place.Subject(path)+".extends: no service is named",
			"write extends: NAME, or {service: NAME, file: FILE}")
		return nil, nil, false
	}
	return service, file, true
}

// notExtended reports an extended service that doesn't exist, unless an include may have added it.
func (v *inspector) notExtended(s, from scope, service, services *yaml.Node, path string) {
	if from.src == s.src && (s.src.top("include") != nil || v.lines.Has("services."+service.Value)) {
		return
	}
	var names []string
	v.eachPair(services, func(k, _ *yaml.Node) { names = append(names, k.Value) })
	v.halt(place.At(s.src.name, service.Line),
		place.Subject(path)+".extends: there is no service "+service.Value+" in "+from.src.name,
		place.DidYouMean(service.Value, names))
}

// readable reports mistakes in all of a file of which only some services are used: the library reads the whole file.
func (v *inspector) readable(s scope, src *source) {
	if v.read[src] {
		return
	}
	v.read[src] = true
	var visit func(path string, n *yaml.Node)
	visit = func(path string, n *yaml.Node) {
		if msg, hint := badScalar(n); msg != "" {
			v.wrong(s, n, n.Line, subject(path)+": "+msg, hint)
		}
		known := map[string]int{}
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			k, val := target(n.Content[i]), n.Content[i+1]
			if k.Value == "<<" &&
				slices.ContainsFunc(mergedNodes(val), func(m *yaml.Node) bool { return target(m).Kind != yaml.MappingNode }) {
				v.wrong(s, k, k.Line, subject(path)+": "+mergeMistake, mergeHint)
			} else if msg, hint := keyMistake(path, k, known[k.Value], nil, true); msg != "" && k.Value != "<<" {
				v.wrong(s, k, k.Line, msg, hint)
			}
			known[k.Value] = k.Line
			visit(place.Join(path, k.Value), val)
		}
		for _, item := range n.Content {
			if n.Kind == yaml.SequenceNode {
				visit(path, item)
			}
		}
	}
	for _, root := range src.roots {
		visit("", root)
	}
}
