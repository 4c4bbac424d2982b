package compose

import (
	"bytes"

	"go.yaml.in/yaml/v4"
)

// prune removes nodes from the Compose files, with the keys that they belong to. It reports whether it removed any.
func (in *input) prune(cut map[*yaml.Node]bool) bool {
	changed := false
	for _, src := range in.files {
		p := pruning{cut: cut, seen: map[*yaml.Node]bool{}}
		for _, root := range src.roots {
			p.prune(root)
		}
		if p.changed {
			changed = src.encode() || changed
		}
	}
	return changed
}

// encode writes the file's nodes as its content. It reports whether that worked.
func (s *source) encode() bool {
	var b bytes.Buffer
	for _, root := range s.roots {
		text, err := encodeNode(root)
		if err != nil {
			return false
		}
		b.WriteString("---\n")
		b.Write(text)
	}
	s.content = b.Bytes()
	return true
}

// encodeNode encodes a node. It turns a panic of the YAML library into an error.
func encodeNode(n *yaml.Node) (b []byte, err error) {
	defer recovered(&err)
	return yaml.Marshal(n)
}

type pruning struct {
	cut     map[*yaml.Node]bool
	seen    map[*yaml.Node]bool
	changed bool
}

func (p *pruning) prune(n *yaml.Node) {
	if n == nil || p.seen[n] {
		return
	}
	p.seen[n] = true
	if n.Kind == yaml.ScalarNode && n.Value == "" && n.ShortTag() == "!!null" {
		n.Value = "null" // an empty one would be written as an empty string
	}
	width := 1
	if n.Kind == yaml.MappingNode {
		width = 2
	}
	var kept []*yaml.Node
	for i := 0; i+width <= len(n.Content); i += width {
		part := n.Content[i : i+width]
		if p.wrong(part) {
			p.changed = true
			continue
		}
		for _, e := range part {
			if !p.seen[target(e)] {
				e = target(e) // an alias of a node that was cut out becomes the node
			}
			kept = append(kept, e)
			p.prune(target(e))
		}
	}
	n.Content = kept
}

func (p *pruning) wrong(part []*yaml.Node) bool {
	for _, n := range part {
		if p.cut[n] || p.cut[target(n)] {
			return true
		}
	}
	return false
}
