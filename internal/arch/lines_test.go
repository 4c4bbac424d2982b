package arch

import (
	"fmt"
	"go/ast"
	"go/token"
	"strings"
	"unicode/utf8"
)

const (
	maxCodeColumns = 120 // a tab is one column
	maxTextColumns = 100
)

// lineLengths finds lines that are too long to read beside another one.
func lineLengths(tr *tree) []fault {
	var faults []fault
	for _, f := range tr.files {
		raw := rawLines(tr, f)
		n := 0
		for line := range strings.Lines(f.text) {
			n++
			if w := width(line); w > maxCodeColumns && !raw[n] && !strings.Contains(line, "://") &&
				!strings.HasPrefix(line, "//go:") {
				faults = append(faults, fault{f.path, n,
					fmt.Sprintf("the line has %d columns: break it, so that it has at most %d", w, maxCodeColumns)})
			}
		}
	}
	for _, d := range tr.docs {
		faults = append(faults, documentLines(d)...)
	}
	return faults
}

func width(line string) int { return utf8.RuneCountInString(strings.TrimRight(line, "\r\n")) }

// rawLines returns the lines inside raw strings: they are contents of other files and can't be broken.
func rawLines(tr *tree, f *file) map[int]bool {
	lines := map[int]bool{}
	ast.Inspect(f.ast, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING && lit.Value[0] == '`' {
			first, last := tr.line(lit.Pos()), tr.line(lit.End())
			for i := first; first < last && i <= last; i++ {
				lines[i] = true
			}
		}
		return true
	})
	return lines
}

// documentLines finds the long lines of a document. Tables, addresses and code may be longer; so may scripts, up to
// the width of code.
func documentLines(d document) []fault {
	var faults []fault
	limit, markdown := maxCodeColumns, strings.HasSuffix(d.path, ".md")
	if markdown {
		limit = maxTextColumns
	}
	fenced, n := false, 0
	for line := range strings.Lines(d.text) {
		n++
		if markdown && strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		free := markdown && (fenced || strings.HasPrefix(line, "|") || strings.HasPrefix(line, "    ")) ||
			strings.Contains(line, "://")
		if w := width(line); w > limit && !free {
			faults = append(faults, fault{d.path, n,
				fmt.Sprintf("the line has %d columns: break it, so that it has at most %d", w, limit)})
		}
	}
	return faults
}
