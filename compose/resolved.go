package compose

import (
	"bytes"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v4"

	"rhumb/compose/internal/keys"
	"rhumb/compose/internal/place"
)

// resolved returns the model as a Compose file that means the same wherever it is read: only active services and no
// profiles, absolute paths, $$ for $, and the zeros that the files contain.
func resolved(p *types.Project, dir string, said func(path string) bool) ([]byte, error) {
	out := *p
	out.Services = types.Services{}
	for name, s := range p.Services {
		out.Services[name] = portable(s, p, dir)
	}
	// Write flow style first: there the library quotes text of several lines. In block style it loses some of the
	// spaces.
	b, err := yaml.Marshal(struct {
		Model *types.Project `yaml:"model,flow"`
	}{&out})
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return nil, err
	}
	root := child(doc.Content[0], "model")
	addZeros(root, said)
	spread(root, true)
	var text bytes.Buffer
	enc := yaml.NewEncoder(&text)
	enc.SetIndent(2)
	err = enc.Encode(root)
	return text.Bytes(), err
}

// portable returns a service that doesn't depend on the folder, on profiles, or on inactive services.
func portable(s types.ServiceConfig, p *types.Project, dir string) types.ServiceConfig {
	s.Profiles = nil
	s.DependsOn = maps.Clone(s.DependsOn)
	maps.DeleteFunc(s.DependsOn, func(other string, _ types.ServiceDependency) bool {
		_, active := p.Services[other]
		return !active
	})
	s.SecurityOpt = absoluteProfiles(s.SecurityOpt, dir)
	s.PreStart = slices.Clone(s.PreStart)
	for i := range s.PreStart {
		s.PreStart[i].SecurityOpt = absoluteProfiles(s.PreStart[i].SecurityOpt, dir)
	}
	if own, ok := s.Extensions[keys.Extension]; ok {
		s.Extensions = maps.Clone(s.Extensions)
		s.Extensions[keys.Extension] = absoluteOptions(absolutePair(own, dir), dir)
	}
	return s
}

// addZeros adds zero values from the files that the library drops, where zero differs from no value.
func addZeros(root *yaml.Node, said func(path string) bool) {
	add := func(n *yaml.Node, path, key, tag, zero string) {
		if child(n, key) == nil && said(place.Join(path, key)) {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key},
				&yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: zero})
		}
	}
	for name, service := range pairs(child(root, "services")) {
		path := "services." + name
		add(service, path, "mem_swappiness", "!!int", "0")
		if hooks := child(service, "pre_start"); hooks != nil {
			for i, hook := range hooks.Content {
				add(hook, path+".pre_start["+strconv.Itoa(i)+"]", "mem_swappiness", "!!int", "0")
			}
		}
	}
	for name, config := range pairs(child(root, "configs")) {
		add(config, "configs."+name, "content", "!!str", "")
	}
}

// pairs iterates over the keys and values of a mapping, if n is one.
func pairs(n *yaml.Node) iter.Seq2[string, *yaml.Node] {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; n != nil && i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// absoluteProfiles makes the paths of seccomp profiles absolute. The library does this for all other paths.
func absoluteProfiles(options []string, dir string) []string {
	options = slices.Clone(options)
	for i, opt := range options {
		at := strings.IndexAny(opt, "=:")
		if at < 0 || opt[:at] != "seccomp" {
			continue
		}
		if file := opt[at+1:]; file != "unconfined" && file != "builtin" && !filepath.IsAbs(file) {
			options[i] = opt[:at+1] + filepath.Join(dir, file)
		}
	}
	return options
}

// absolutePair makes the paths of x-rhumb.tls absolute.
func absolutePair(extension any, dir string) any {
	own, _ := extension.(map[string]any)
	tls, ok := own["tls"].(map[string]any)
	if !ok {
		return extension
	}
	own, tls = maps.Clone(own), maps.Clone(tls)
	own["tls"] = tls
	for _, key := range []string{"cert", "key"} {
		if file, ok := tls[key].(string); ok && !filepath.IsAbs(file) {
			tls[key] = filepath.Join(dir, file)
		}
	}
	return own
}

// spread converts flow style to the usual style, and doubles each $ in values. Keys have no variables.
func spread(n *yaml.Node, value bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		if value {
			n.Value = strings.ReplaceAll(n.Value, "$", "$$")
		}
		if n.Tag == "!!str" && n.Style != 0 {
			n.Style = style(n.Value)
		}
	case yaml.MappingNode:
		n.Style = 0
		for i, c := range n.Content {
			spread(c, i%2 == 1)
		}
	default:
		n.Style = 0
		for _, c := range n.Content {
			spread(c, true)
		}
	}
}

// style returns how to write a string: as a block if it has several lines and doesn't begin with a space, plain if
// that means the same, else in quotes.
func style(text string) yaml.Style {
	if strings.Contains(text, "\n") {
		if strings.TrimLeftFunc(text, unicode.IsSpace) == text {
			return yaml.LiteralStyle
		}
		return yaml.DoubleQuotedStyle
	}
	if b, err := yaml.Marshal(text); err == nil && string(b) == text+"\n" {
		return 0
	}
	return yaml.DoubleQuotedStyle
}
