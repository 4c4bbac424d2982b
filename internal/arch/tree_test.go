package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// tree is the repository: every Go file parsed, and the text of every document.
type tree struct {
	fset  *token.FileSet
	files []*file
	docs  []document
}

// file is one Go file.
type file struct {
	path string // from the root of the repository, with slashes
	text string
	ast  *ast.File
}

// document is a text for people: Markdown, a shell script, the Makefile.
type document struct{ path, text string }

// dir returns the folder of a file; "." is the root.
func (f *file) dir() string { return path.Dir(f.path) }

// inTest reports whether the file is for tests only: a _test.go file, or a file of a package of test helpers.
func (f *file) inTest() bool {
	dir := f.dir()
	return strings.HasSuffix(f.path, "_test.go") || strings.HasPrefix(dir, "test/") ||
		strings.HasSuffix(dir, "test") || strings.HasSuffix(dir, "fake")
}

// repository parses the whole repository, once for all tests.
var repository = sync.OnceValues(func() (*tree, error) {
	tr := newTree()
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if rel != "." && (d.Name()[0] == '.' || d.Name() == "testdata" || rel == "bin" || rel == "dist") {
				return filepath.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		return tr.add(rel, func() ([]byte, error) { return os.ReadFile(name) })
	})
	return tr, err
})

func newTree() *tree { return &tree{fset: token.NewFileSet()} }

// add parses a file, if it is of a kind that has rules.
func (tr *tree) add(name string, read func() ([]byte, error)) error {
	isGo := strings.HasSuffix(name, ".go")
	if !isGo && !strings.HasSuffix(name, ".md") && !strings.HasSuffix(name, ".sh") && name != "Makefile" {
		return nil
	}
	text, err := read()
	if err != nil {
		return err
	}
	if !isGo {
		tr.docs = append(tr.docs, document{name, string(text)})
		return nil
	}
	parsed, err := parser.ParseFile(tr.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	tr.files = append(tr.files, &file{name, string(text), parsed})
	return nil
}

// load returns the parsed repository.
func load(t *testing.T) *tree {
	t.Helper()
	tr, err := repository()
	if err != nil {
		t.Fatal(err)
	}
	if len(tr.files) < 100 || len(tr.docs) < 5 {
		t.Fatalf("found only %d Go files and %d documents", len(tr.files), len(tr.docs))
	}
	return tr
}

// at returns a fault at a position of a Go file.
func (tr *tree) at(pos token.Pos, format string, args ...any) fault {
	p := tr.fset.Position(pos)
	return fault{p.Filename, p.Line, fmt.Sprintf(format, args...)}
}

// line returns the line of a position.
func (tr *tree) line(pos token.Pos) int { return tr.fset.Position(pos).Line }
