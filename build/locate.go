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

// Engines of 20.10 don't say which line of the Dockerfile failed. They name the step, "[tools 3/4] RUN make", and
// from that and the Dockerfile the line is found again.

var (
	parseError = regexp.MustCompile(`dockerfile parse error (?:on )?line (\d+): `)
	numbered   = regexp.MustCompile(`^\[(?:\S+ )*?(?:(\S+) )? *(\d+)/(\d+)\] `)
	image      = regexp.MustCompile(`^(?:\[internal\] load metadata for|FROM) (\S+)`)
	frontend   = regexp.MustCompile(`^resolve image config for (?:docker-image://)?(\S+)`)
	noBase     = regexp.MustCompile(`base name \((.+)\) should not be blank`)
	noStage    = regexp.MustCompile(`invalid stage index (\d+)`)
)

// locate finds the failing step's instruction: its line and its text. The line is 0 if it can't be told. args are the
// build's arguments.
func locate(dockerfile []byte, args map[string]string, failing, reason string) (line int, instruction string) {
	if m := parseError.FindStringSubmatch(reason); m != nil {
		line, _ = strconv.Atoi(m[1])
		return line, "" // the reason says it
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

// syntaxLine finds the comment that names the Dockerfile's frontend.
func syntaxLine(dockerfile []byte) (line int, instruction string) {
	_, _, where, ok := parser.DetectSyntax(dockerfile)
	if !ok || len(where) == 0 {
		return 0, ""
	}
	line = where[0].Start.Line
	return line, excerpt(dockerfile, line, line)
}

// failingNode finds the instruction by the failing step's name, or else by the reason; nil: it can't be told.
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
	} else if strings.Contains(failing, "://") { // what ADD fetches is a step of its own
		word = failing
	}
	for _, node := range nodes {
		if word != "" && slices.Contains(append(arguments(node), node.Flags...), word) {
			return node
		}
	}
	return nil
}

// numberedStep finds the i-th of n numbered steps of a stage. The base image is numbered too unless it is scratch or
// another stage, so the steps are counted from the end.
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

// naming finds the instruction that names an image, in full or as people write it, with the arguments that are declared
// before the first stage.
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

// imageNamesOf lists the images that an instruction may name: FROM's, and what COPY and RUN --mount take files from.
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

// declared returns the arguments that stand before the first stage, with the build's own values or their defaults.
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
