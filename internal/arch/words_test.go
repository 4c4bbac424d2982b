package arch

import (
	_ "embed"
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

//go:embed testdata/words.txt
var wordList string

// word is a forbidden word or phrase.
type word struct{ phrase, instead string }

// longest returns the longest word of the phrase.
func (w word) longest() string {
	return slices.MaxFunc(strings.Fields(w.phrase), func(a, b string) int { return len(a) - len(b) })
}

// words returns the list of forbidden words, and one expression that matches all of them.
func words() (list []word, all *regexp.Regexp) {
	var alternatives []string
	for line := range strings.Lines(wordList) {
		phrase, instead, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		phrase = strings.TrimSpace(phrase)
		list = append(list, word{phrase, strings.TrimSpace(instead)})
		alternatives = append(alternatives, strings.ReplaceAll(regexp.QuoteMeta(phrase), " ", `\s+`))
	}
	return list, regexp.MustCompile(`(?i)\b(?:` + strings.Join(alternatives, "|") + `)\b`)
}

// instead returns what to write for a match.
func instead(list []word, match string) string {
	match = strings.Join(strings.Fields(strings.ToLower(match)), " ")
	for _, w := range list {
		if w.phrase == match {
			return w.instead
		}
	}
	return ""
}

// prose is a piece of text that people read, without the marks of a comment or a string.
type prose struct {
	path string
	line int
	text string
}

// proseOf returns the comments and strings of the Go files, and the documents.
func proseOf(tr *tree) []prose {
	var all []prose
	for _, f := range tr.files {
		if f.path == "internal/arch/faults_test.go" {
			continue // examples of faults
		}
		for _, g := range f.ast.Comments {
			all = append(all, prose{f.path, tr.line(g.Pos()), commentText(g)})
		}
		ast.Inspect(f.ast, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING {
				return true
			}
			if text, err := strconv.Unquote(lit.Value); err == nil {
				if lit.Value[0] == '"' {
					text = strings.ReplaceAll(text, "\n", " ")
				}
				all = append(all, prose{f.path, tr.line(lit.Pos()), text})
			}
			return true
		})
	}
	for _, d := range tr.docs {
		all = append(all, prose{d.path, 1, d.text})
	}
	return all
}

// commentText returns the text of a comment, line by line, so that a phrase that runs over the end of a line is found.
func commentText(g *ast.CommentGroup) string {
	var b strings.Builder
	for _, c := range g.List {
		b.WriteString(strings.TrimPrefix(strings.TrimPrefix(c.Text, "//"), "/*"))
		b.WriteByte('\n')
	}
	return b.String()
}

// unixUser matches the Unix account of this name: alone, in quotes, or in user:group.
var unixUser = func() *regexp.Regexp {
	const name = "no" + "body"
	return regexp.MustCompile("^" + name + "$|[\"'`:]" + name + "[\"'`:]|user: " + name + "|" + name + ":")
}()

// forbiddenWords finds words that a native reader has to read twice.
func forbiddenWords(tr *tree) []fault {
	list, all := words()
	rare := map[string]string{}
	for _, w := range list {
		rare[w.phrase] = w.longest()
	}
	var faults []fault
	for _, p := range proseOf(tr) {
		lower := strings.ToLower(p.text)
		if !slices.ContainsFunc(list, func(w word) bool { return strings.Contains(lower, rare[w.phrase]) }) {
			continue // the expression is slow
		}
		for _, at := range all.FindAllStringIndex(p.text, -1) {
			match := p.text[at[0]:at[1]]
			around := p.text[max(0, at[0]-6):min(len(p.text), at[1]+1)]
			if unixUser.MatchString(around) || match == p.text && unixUser.MatchString(match) {
				continue
			}
			faults = append(faults, fault{p.path, p.line + strings.Count(p.text[:at[0]], "\n"),
				fmt.Sprintf("%q: %s", match, instead(list, match))})
		}
	}
	return faults
}

// docVerb matches the beginnings of doc comments that Go's own documentation words otherwise.
var docVerb = regexp.MustCompile(`^(\w+) (gives|tells|says whether|says if)\b`)

// docVerbs finds doc comments that begin with a verb that Go's own documentation doesn't use.
func docVerbs(tr *tree) []fault {
	var faults []fault
	for _, f := range tr.files {
		for _, g := range f.ast.Comments {
			m := docVerb.FindStringSubmatch(strings.TrimSpace(g.Text()))
			if m == nil {
				continue
			}
			better := "returns"
			if m[2] != "gives" {
				better = "reports"
			}
			faults = append(faults, tr.at(g.Pos(), "%q: write %q", m[0], m[1]+" "+better))
		}
	}
	return faults
}

func TestEveryForbiddenWordHasAReplacement(t *testing.T) {
	list, all := words()
	if len(list) < 10 {
		t.Fatalf("only %d words", len(list))
	}
	for _, w := range list {
		if w.instead == "" || instead(list, all.FindString("x "+strings.ToUpper(w.phrase)+" x")) == "" {
			t.Errorf("%q: it isn't found, or says nothing to do instead", w.phrase)
		}
	}
}
