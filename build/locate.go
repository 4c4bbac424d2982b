package build

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// Engine 20.10 doesn't say which line of the Dockerfile failed, but names the step: "[tools 3/4] RUN make". This file
// finds the line from the step's name.

var (
	parseError = regexp.MustCompile(`dockerfile parse error (?:on )?line (\d+): `)
	numbered   = regexp.MustCompile(`^\[(?:\S+ )*?(?:(\S+) )? *(\d+)/(\d+)\] `)
	image      = regexp.MustCompile(`^(?:\[internal\] load metadata for|FROM) (\S+)`)
	frontend   = regexp.MustCompile(`^resolve image config for (?:docker-image://)?(\S+)`)
	noBase     = regexp.MustCompile(`base name \((.+)\) should not be blank`)
	noStage    = regexp.MustCompile(`invalid stage index (\d+)`)
)

// locate returns the line and the text of the failing step's instruction; line 0 means that it is unknown. args are
// the build's arguments.
func locate(dockerfile []byte, args map[string]string, failing, reason string) (line int, instruction string) {
	if m := parseError.FindStringSubmatch(reason); m != nil {
		line, _ = strconv.Atoi(m[1])
		return line, "" // the reason contains the instruction
	}
	if frontend.MatchString(failing) {
		return syntaxLine(dockerfile)
	}
	tree, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return 0, ""
	}
	node := failingNode(tree.AST.Children, args, failing, reason)
	if node == nil {
		return 0, ""
	}
	return node.StartLine, excerpt(dockerfile, node.StartLine, node.EndLine)
}

// syntaxLine returns the comment that names the Dockerfile's frontend.
func syntaxLine(dockerfile []byte) (line int, instruction string) {
	_, _, where, ok := parser.DetectSyntax(dockerfile)
	if !ok || len(where) == 0 {
		return 0, ""
	}
	line = where[0].Start.Line
	return line, excerpt(dockerfile, line, line)
}

// failingNode returns the instruction that the failing step's name or the reason points to, or nil.
func failingNode(nodes []*parser.Node, args map[string]string, failing, reason string) *parser.Node {
	if m := image.FindStringSubmatch(failing); m != nil {
		return naming(nodes, args, m[1])
	}
	if m := numbered.FindStringSubmatch(failing); m != nil {
		i, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		return numberedStep(nodes, m[1], i, n)
	}
	word := ""
	if m := noBase.FindStringSubmatch(reason); m != nil {
		word = m[1]
	} else if m := noStage.FindStringSubmatch(reason); m != nil {
		word = "--from=" + m[1]
	} else if strings.Contains(failing, "://") { // ADD of a URL is a step whose name is the URL
		word = failing
	}
	for _, node := range nodes {
		if word != "" && slices.Contains(append(arguments(node), node.Flags...), word) {
			return node
		}
	}
	return nil
}

// numberedStep returns the i-th of n numbered steps of a stage. A base image has a number too, unless it is scratch
// or another stage, so numberedStep counts from the end.
func numberedStep(nodes []*parser.Node, stage string, i, n int) *parser.Node {
	var from *parser.Node
	var steps []*parser.Node
	if strings.Contains(stage, "/") {
		stage = "" // it is a platform
	}
	for _, part := range stages(nodes) {
		if part.name != stage && stage != "" {
			continue
		}
		from, steps = part.from, nil // without a name there is only one stage
		for _, node := range part.nodes {
			if slices.Contains([]string{"run", "copy", "add", "workdir"}, strings.ToLower(node.Value)) {
				steps = append(steps, node)
			}
		}
	}
	switch at := i - 1 - (n - len(steps)); {
	case at < 0:
		return from
	case at < len(steps):
		return steps[at]
	default:
		return nil
	}
}

type stage struct {
	name  string
	from  *parser.Node
	nodes []*parser.Node
}

func stages(nodes []*parser.Node) (list []stage) {
	for _, node := range nodes {
		if !strings.EqualFold(node.Value, "from") {
			if len(list) > 0 {
				list[len(list)-1].nodes = append(list[len(list)-1].nodes, node)
			}
			continue
		}
		name := "stage-" + strconv.Itoa(len(list))
		if words := arguments(node); len(words) == 3 && strings.EqualFold(words[1], "as") {
			name = strings.ToLower(words[2])
		}
		list = append(list, stage{name: name, from: node})
	}
	return list
}

func arguments(node *parser.Node) (words []string) {
	for n := node.Next; n != nil; n = n.Next {
		words = append(words, n.Value)
	}
	return words
}

// naming returns the instruction that names an image, in its full or short form, with the values of the arguments
// declared before the first stage.
func naming(nodes []*parser.Node, args map[string]string, image string) *parser.Node {
	known := declared(nodes, args)
	for _, node := range nodes {
		for _, name := range imageNamesOf(node) {
			if word, _, err := shell.NewLex('\\').ProcessWord(name, known); err == nil {
				name = word
			}
			if named, err := reference.ParseNormalizedNamed(name); err == nil && reference.TagNameOnly(named).String() == image {
				return node
			}
		}
	}
	return nil
}

// imageNamesOf returns the images that an instruction may name: FROM's image and the sources of COPY and RUN --mount.
func imageNamesOf(node *parser.Node) (names []string) {
	if strings.EqualFold(node.Value, "from") {
		words := arguments(node)
		return words[:min(1, len(words))]
	}
	for _, flag := range node.Flags {
		if from, ok := strings.CutPrefix(flag, "--from="); ok {
			names = append(names, from)
		}
		mount, ok := strings.CutPrefix(flag, "--mount=")
		for field := range strings.SplitSeq(mount, ",") {
			if from, is := strings.CutPrefix(field, "from="); ok && is {
				names = append(names, from)
			}
		}
	}
	return names
}

// declared returns the arguments declared before the first stage, with the build's values or their defaults.
func declared(nodes []*parser.Node, args map[string]string) shell.EnvGetter {
	var known []string
	for _, node := range nodes {
		if strings.EqualFold(node.Value, "from") {
			break
		}
		for _, word := range arguments(node) {
			name, value, _ := strings.Cut(word, "=")
			if own, ok := args[name]; ok {
				value = own
			} else if processed, _, err := shell.NewLex('\\').ProcessWord(value, shell.EnvsFromSlice(known)); err == nil {
				value = processed
			}
			known = append(known, name+"="+value)
		}
	}
	return shell.EnvsFromSlice(known)
}

// excerpt returns lines of a Dockerfile joined into one, without their backslashes.
func excerpt(dockerfile []byte, start, end int) (text string) {
	lines := strings.Split(string(dockerfile), "\n")
	if start < 1 || start > len(lines) {
		return ""
	}
	for _, line := range lines[start-1 : max(start, min(end, len(lines)))] {
		text += " " + strings.TrimSuffix(strings.TrimSpace(line), `\`)
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxInstruction {
		text = strings.ToValidUTF8(text[:maxInstruction], "") + "…"
	}
	return text
}
