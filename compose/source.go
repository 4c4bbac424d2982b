package compose

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"

	"rhumb"
	"rhumb/compose/internal/place"
)

// maxDocuments is how many documents, separated by ---, a Compose file may have.
const maxDocuments = 100

// source is one Compose file as YAML nodes, which have lines.
type source struct {
	name    string // for people
	path    string // absolute, or "-"
	content []byte
	roots   []*yaml.Node // the mapping of each document
	// emptyLine is the line of an empty document, such as one after a --- at the end; 0 if there is none. The library
	// refuses empty documents.
	emptyLine int
}

// parseSource parses a Compose file; the error is a *rhumb.Error.
func parseSource(name, path string, content []byte) (src *source, err error) {
	src = &source{name: name, path: path, content: content}
	dec := yaml.NewDecoder(bytes.NewReader(content))
	for {
		var doc yaml.Node
		err := decode(dec, &doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, yamlError(name, content, err.Error(), err)
		}
		if len(doc.Content) == 0 || empty(doc.Content[0]) {
			src.emptyLine = max(doc.Line, 1)
			continue
		}
		root := doc.Content[0]
		if len(src.roots) == maxDocuments {
			return nil, &rhumb.Error{Code: rhumb.Invalid, At: place.At(name, root.Line),
				Msg: fmt.Sprintf("more than %d documents in the file", maxDocuments)}
		}
		if root.Kind != yaml.MappingNode {
			return nil, &rhumb.Error{Code: rhumb.Invalid, At: place.At(name, root.Line), Msg: "this is not a Compose file",
				Hint: "it begins with a key such as services:"}
		}
		src.roots = append(src.roots, root)
	}
	if len(src.roots) == 0 {
		return nil, &rhumb.Error{Code: rhumb.Invalid, At: place.At(name, 1), Msg: "the file is empty",
			Hint: "it needs at least services:"}
	}
	if src.emptyLine > 0 && !src.encode() {
		return nil, &rhumb.Error{Code: rhumb.Invalid, At: place.At(name, src.emptyLine), Msg: "a document is empty",
			Hint: emptyHint}
	}
	return src, nil
}

const emptyHint = "take its --- out"

// decode decodes YAML. It turns a panic of the library into an error.
func decode(dec *yaml.Decoder, n *yaml.Node) (err error) {
	defer recovered(&err)
	return dec.Decode(n)
}

func empty(n *yaml.Node) bool {
	return n.Kind == 0 || n.Kind == yaml.ScalarNode && (n.Tag == "!!null" || n.Value == "")
}

// top returns the value of a top-level key, or nil.
func (s *source) top(key string) *yaml.Node {
	var found *yaml.Node
	for _, root := range s.roots {
		if v := child(root, key); v != nil {
			found = v
		}
	}
	return found
}

// child returns the value of a mapping's key, through aliases and merge keys, or nil.
func child(n *yaml.Node, key string) *yaml.Node {
	return childWithin(n, key, 16)
}

func childWithin(n *yaml.Node, key string, depth int) *yaml.Node {
	n = target(n)
	if n == nil || n.Kind != yaml.MappingNode || depth == 0 {
		return nil
	}
	var merged *yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Value == key && key != "<<" {
			return target(v)
		}
		if k.Value != "<<" || merged != nil {
			continue
		}
		for _, m := range mergedNodes(v) {
			if merged = childWithin(m, key, depth-1); merged != nil {
				break
			}
		}
	}
	return merged
}

// mergedNodes returns the mappings in a merge key's value.
func mergedNodes(v *yaml.Node) []*yaml.Node {
	v = target(v)
	if v != nil && v.Kind == yaml.SequenceNode {
		return v.Content
	}
	return []*yaml.Node{v}
}

// target resolves an alias. YAML has no aliases of aliases.
func target(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}
