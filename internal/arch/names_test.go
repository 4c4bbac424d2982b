package arch

import (
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

const maxTestName = 60 // letters after "Test"

// testNames finds tests whose names are too long to be read as a sentence.
func testNames(tr *tree) []fault {
	var faults []fault
	for _, f := range tr.files {
		if !strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Recv != nil {
				continue
			}
			if name, ok := strings.CutPrefix(fn.Name.Name, "Test"); ok && len(name) > maxTestName {
				faults = append(faults, tr.at(fn.Pos(), "%s has %d letters after Test: use at most %d", fn.Name.Name, len(name),
					maxTestName))
			}
		}
	}
	return faults
}

// otherNames are the words that NOMENCLATURE.md has another word for, as parts of the names of types.
var otherNames = map[string]string{"target": "endpoint", "upstream": "backend"}

var camelWord = regexp.MustCompile(`[A-Z]?[a-z]+`)

// typeNames finds types that are named by a word that NOMENCLATURE.md has another word for.
func typeNames(tr *tree) []fault {
	var faults []fault
	for _, f := range tr.files {
		for spec := range types(f) {
			for _, w := range camelWord.FindAllString(spec.Name.Name, -1) {
				if better := otherNames[strings.ToLower(w)]; better != "" {
					faults = append(faults, tr.at(spec.Pos(), "type %s: NOMENCLATURE.md says %s, not %s", spec.Name.Name,
						better, strings.ToLower(w)))
				}
			}
		}
	}
	return faults
}

// undocumented finds exported names without a comment: types, functions, methods, constants, variables, and the methods
// of the ports. An interface that a consumer declares repeats methods of a port: its own comment is enough.
func undocumented(tr *tree) []fault {
	var faults []fault
	missing := func(pos token.Pos, name string) {
		faults = append(faults, tr.at(pos, "%s has no comment: say what it is, and which errors it returns", name))
	}
	for _, f := range tr.files {
		if strings.HasSuffix(f.path, "_test.go") || f.ast.Name.Name == "main" {
			continue
		}
		for _, d := range f.ast.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				in := receiver(d)
				if d.Name.IsExported() && d.Doc == nil && (in == "" || ast.IsExported(in)) && !conventional[d.Name.Name] {
					missing(d.Pos(), strings.TrimPrefix(in+"."+d.Name.Name, "."))
				}
			case *ast.GenDecl:
				undocumentedSpecs(d, f.dir() == ".", missing)
			}
		}
	}
	return faults
}

// conventional are methods whose meaning every reader of Go knows.
var conventional = map[string]bool{
	"String": true, "Error": true, "Unwrap": true, "MarshalJSON": true, "UnmarshalJSON": true,
}

// undocumentedSpecs reports the exported names of a declaration without a comment. One comment above a group is enough
// for constants and variables, and so is the comment of their type. With ports, it reports methods of interfaces too.
func undocumentedSpecs(d *ast.GenDecl, ports bool, missing func(token.Pos, string)) {
	typed := false
	for _, s := range d.Specs {
		switch s := s.(type) {
		case *ast.TypeSpec:
			if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
				missing(s.Pos(), s.Name.Name)
			}
			if it, ok := s.Type.(*ast.InterfaceType); ok && ports && s.Name.IsExported() {
				undocumentedMethods(s.Name.Name, it, missing)
			}
		case *ast.ValueSpec:
			typed = typed || s.Type != nil
			for _, n := range s.Names {
				if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil && !typed {
					missing(n.Pos(), n.Name)
				}
			}
		}
	}
}

func undocumentedMethods(in string, it *ast.InterfaceType, missing func(token.Pos, string)) {
	for _, m := range it.Methods.List {
		for _, n := range m.Names {
			if n.IsExported() && m.Doc == nil && m.Comment == nil && !conventional[n.Name] {
				missing(n.Pos(), in+"."+n.Name)
			}
		}
	}
}
