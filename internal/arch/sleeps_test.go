package arch

import (
	"go/ast"
	"strings"
)

// sleeps finds sleeps in tests outside test/e2e after which a test hopes that something has happened. Two kinds are
// allowed. In a bubble of testing/synctest a sleep takes no time and hides no race; a bubble is a function passed to
// synctest.Test, and what it calls within its package, by name. In a loop, a sleep is the pause between two looks at
// a condition.
func sleeps(tr *tree) []fault {
	byDir := map[string][]*file{}
	for _, f := range tr.files {
		byDir[f.dir()] = append(byDir[f.dir()], f)
	}
	bubbled := map[string]map[string]bool{} // by folder
	var faults []fault
	for _, f := range tr.files {
		if !f.inTest() || strings.HasPrefix(f.path, "test/") || !strings.Contains(f.text, "time.Sleep(") {
			continue
		}
		if bubbled[f.dir()] == nil {
			bubbled[f.dir()] = calledInBubbles(byDir[f.dir()])
		}
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil || bubbled[f.dir()][fn.Name.Name] {
				continue
			}
			hopeful(fn.Body, func(call *ast.CallExpr) {
				faults = append(faults, tr.at(call.Pos(),
					"time.Sleep in a test: wait for a condition, or use testing/synctest"))
			})
		}
	}
	return faults
}

// isCall reports whether a call is of a function of a package.
func isCall(call *ast.CallExpr, pkg, name string) bool {
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	x, ok := sel.X.(*ast.Ident)
	return ok && x.Name == pkg && sel.Sel.Name == name
}

// hopeful calls report for each sleep below a node that is neither in a loop nor in a bubble.
func hopeful(n ast.Node, report func(*ast.CallExpr)) {
	ast.Inspect(n, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ForStmt, *ast.RangeStmt:
			return false
		case *ast.CallExpr:
			if isCall(n, "time", "Sleep") {
				report(n)
			}
			return !isCall(n, "synctest", "Test")
		}
		return true
	})
}

// calledInBubbles returns the names of the functions and methods that run inside bubbles.
func calledInBubbles(files []*file) map[string]bool {
	called := map[string]bool{}
	var work []ast.Node
	bodies := map[string][]ast.Node{}
	for _, f := range files {
		for _, d := range f.ast.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			bodies[fn.Name.Name] = append(bodies[fn.Name.Name], fn.Body)
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				if call, ok := n.(*ast.CallExpr); ok && isCall(call, "synctest", "Test") {
					work = append(work, call.Args[len(call.Args)-1])
				}
				return true
			})
		}
	}
	for len(work) > 0 {
		n := work[len(work)-1]
		work = work[:len(work)-1]
		ast.Inspect(n, func(n ast.Node) bool {
			name := ""
			switch n := n.(type) {
			case *ast.Ident:
				name = n.Name
			case *ast.SelectorExpr:
				name = n.Sel.Name
			}
			if bodies[name] != nil && !called[name] {
				called[name] = true
				work = append(work, bodies[name]...)
			}
			return true
		})
	}
	return called
}
