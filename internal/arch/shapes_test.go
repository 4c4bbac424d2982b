package arch

import (
	"go/ast"
	"maps"
	"slices"
	"strings"
	"testing"
)

// The sizes that keep a piece of code readable at one look.
const (
	maxInterface = 6   // methods written in an interface; embedded interfaces don't count
	maxMethods   = 20  // methods of a type
	maxFile      = 400 // lines of a file
	maxFunction  = 45  // lines of a function
)

// interfaceWidths finds interfaces with too many methods of their own.
func interfaceWidths(tr *tree) []fault {
	var faults []fault
	for _, f := range tr.files {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		for spec := range types(f) {
			it, ok := spec.Type.(*ast.InterfaceType)
			if !ok {
				continue
			}
			n := 0
			for _, m := range it.Methods.List {
				n += len(m.Names)
			}
			if n > max(maxInterface, wideInterfaces[qualified(f, spec.Name.Name)].most) {
				faults = append(faults, tr.at(spec.Pos(), "interface %s has %d methods: split it into sets of at most %d, by noun",
					spec.Name.Name, n, maxInterface))
			}
		}
	}
	return faults
}

// types calls yield for each type that a file declares at its top level.
func types(f *file) func(yield func(*ast.TypeSpec) bool) {
	return func(yield func(*ast.TypeSpec) bool) {
		for _, d := range f.ast.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, s := range g.Specs {
				if spec, ok := s.(*ast.TypeSpec); ok && !yield(spec) {
					return
				}
			}
		}
	}
}

// qualified returns the name of a type with its folder: "proxy.Proxy", ".Store" in the root.
func qualified(f *file, name string) string { return strings.TrimPrefix(f.dir(), ".") + "." + name }

// receiver returns the name of the type that a method belongs to; "" for a function.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	e := fn.Recv.List[0].Type
	for {
		switch t := e.(type) {
		case *ast.StarExpr:
			e = t.X
		case *ast.IndexExpr:
			e = t.X
		case *ast.IndexListExpr:
			e = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// methodsOf returns the methods of each type, by the qualified name of the type.
func methodsOf(tr *tree) map[string][]*ast.FuncDecl {
	methods := map[string][]*ast.FuncDecl{}
	for _, f := range tr.files {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		for _, d := range f.ast.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && receiver(fn) != "" {
				name := qualified(f, receiver(fn))
				methods[name] = append(methods[name], fn)
			}
		}
	}
	return methods
}

// methodCounts finds types with too many methods.
func methodCounts(tr *tree) []fault {
	var faults []fault
	methods := methodsOf(tr)
	for _, name := range slices.Sorted(maps.Keys(methods)) {
		if n := len(methods[name]); n > max(maxMethods, manyMethods[name].most) {
			faults = append(faults, tr.at(methods[name][0].Pos(),
				"type %s has %d methods: split it, so that each type has at most %d", name, n, maxMethods))
		}
	}
	return faults
}

// fileLengths finds files that are too long.
func fileLengths(tr *tree) []fault {
	var faults []fault
	for _, f := range tr.files {
		if n := strings.Count(f.text, "\n"); n > maxFile {
			faults = append(faults, fault{f.path, n, "the file is too long: split it, one noun to a file"})
		}
	}
	return faults
}

// functionLengths finds functions that are too long. Tests may be longer: a table has as many lines as it needs.
func functionLengths(tr *tree) []fault {
	var faults []fault
	for _, f := range tr.files {
		if f.inTest() {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := tr.line(fn.End()) - tr.line(fn.Pos()) + 1; n > maxFunction {
				faults = append(faults, tr.at(fn.Pos(), "function %s has %d lines: split it, so that it has at most %d",
					fn.Name.Name, n, maxFunction))
			}
		}
	}
	return faults
}

func TestExceptionsAreNeeded(t *testing.T) {
	tr := load(t)
	widths := map[string]int{}
	for _, f := range tr.files {
		for spec := range types(f) {
			if it, ok := spec.Type.(*ast.InterfaceType); ok {
				for _, m := range it.Methods.List {
					widths[qualified(f, spec.Name.Name)] += len(m.Names)
				}
			}
		}
	}
	counts := map[string]int{}
	for name, methods := range methodsOf(tr) {
		counts[name] = len(methods)
	}
	check := func(list map[string]exception, is map[string]int, limit int) {
		for name, e := range list {
			switch n := is[name]; {
			case n <= limit:
				t.Errorf("%s has %d methods: remove it from exceptions_test.go", name, n)
			case n < e.most:
				t.Errorf("%s has %d methods: write this number into exceptions_test.go instead of %d", name, n, e.most)
			case e.why == "":
				t.Errorf("%s: exceptions_test.go says no reason", name)
			}
		}
	}
	check(wideInterfaces, widths, maxInterface)
	check(manyMethods, counts, maxMethods)
}
