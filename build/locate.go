package build

import (
	"bytes"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Engines of 20.10 don't say which line of the Dockerfile failed. They name the step, "[tools 3/4] RUN make", and from that and the
// Dockerfile the line is found again.

var (
	parseError = regexp.MustCompile(`dockerfile parse error (?:on )?line (\d+): `)
	numbered   = regexp.MustCompile(`^\[(?:\S+ )*?(?:(\S+) )? *(\d+)/(\d+)\] `)
	image      = regexp.MustCompile(`^(?:\[internal\] load metadata for|FROM) (\S+)`)
)

// locate finds the failing step's instruction: its line and its text. The line is 0 if it can't be told.
func locate(dockerfile []byte, failing, reason string) (line int, instruction string) {
	if m := parseError.FindStringSubmatch(reason); m != nil {
		line, _ = strconv.Atoi(m[1])
		return line, "" // the reason says it
	}
	tree, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return 0, ""
	}
	var node *parser.Node
	if m := image.FindStringSubmatch(failing); m != nil {
		node = naming(tree.AST.Children, m[1])
	} else if m := numbered.FindStringSubmatch(failing); m != nil {
		i, _ := strconv.Atoi(m[2])
		n, _ := strconv.Atoi(m[3])
		node = numberedStep(tree.AST.Children, m[1], i, n)
	}
	if node == nil {
		return 0, ""
	}
	return node.StartLine, excerpt(dockerfile, node.StartLine, node.EndLine)
}

// numberedStep finds the i-th of n numbered steps of a stage. The base image is numbered too unless it is scratch or another stage, so the steps
// are counted from the end.
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
		from, steps = part.from, nil // without a name there is one stage only
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

// naming finds the instruction that names an image, in full or as people write it.
func naming(nodes []*parser.Node, image string) *parser.Node {
	for _, node := range nodes {
		names := arguments(node)[:min(1, len(arguments(node)))]
		if strings.EqualFold(node.Value, "copy") {
			names = nil
			for _, flag := range node.Flags {
				if from, ok := strings.CutPrefix(flag, "--from="); ok {
					names = append(names, from)
				}
			}
		}
		for _, name := range names {
			if named, err := reference.ParseNormalizedNamed(name); err == nil && reference.TagNameOnly(named).String() == image {
				return node
			}
		}
	}
	return nil
}

// excerpt gives lines of a Dockerfile as one, without what continues them.
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
