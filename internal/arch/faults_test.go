package arch

import (
	"strings"
	"testing"
)

// treeOf returns a repository of the files given by name.
func treeOf(t *testing.T, files map[string]string) *tree {
	t.Helper()
	tr := newTree()
	for name, text := range files {
		if err := tr.add(name, func() ([]byte, error) { return []byte(text), nil }); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

// example is a file that breaks a rule in a line, or keeps the rule.
type example struct {
	file, text string
	line       int // of the fault; 0: there is none
}

var overlong = strings.Repeat("x", 121)

// examples are files for each rule.
var examples = map[string][]example{
	"imports": {
		{"proxy/a.go", "package proxy\nimport _ \"rhumb/sqlite\"\n", 2},
		{"proxy/a_test.go", "package proxy\nimport _ \"rhumb/sqlite\"\n", 0},
	},
	"interface width": {
		{"a/a.go", "package a\ntype I interface { A(); B(); C(); D(); E(); F(); G() }\n", 2},
		{"a/a.go", "package a\ntype I interface { A(); B(); C(); D(); E(); F(); J }\n", 0},
	},
	"methods of a type": {
		{"a/a.go", "package a\n" + strings.Repeat("func (*T[X]) A() {}\n", 21), 2},
		{"a/a.go", "package a\n" + strings.Repeat("func (T) A() {}\n", 20), 0},
	},
	"length of a file": {
		{"a/a.go", "package a\n" + strings.Repeat("\n", 400), 401},
		{"a/a.go", "package a\n" + strings.Repeat("\n", 399), 0},
	},
	"length of a function": {
		{"a/a.go", "package a\nfunc f() {\n" + strings.Repeat("\n", 44) + "}\n", 2},
		{"a/a.go", "package a\nfunc f() {\n" + strings.Repeat("\n", 43) + "}\n", 0},
	},
	"length of a line": {
		{"a/a.go", "package a\n// " + overlong + "\n", 2},
		{"a/a.go", "package a\n// https://" + overlong + "\n", 0},
		{"a/a.go", "package a\nconst c = `\n" + overlong + "\n`\n", 0},
		{"a/a.go", "package a\nconst c = `" + overlong + "`\n", 2},
		{"A.md", "a\n" + overlong[:101] + "\n", 2},
		{"A.md", "a\n" + overlong[:100] + "\n| " + overlong + " |\n```\n" + overlong + "\n```\n", 0},
		{"a.sh", "# " + overlong + "\n", 1},
	},
	"words": {
		{"a/a.go", "package a\n\n// A is for\n// ever.\n", 3},
		{"a/a.go", "package a\n\nconst c = \"It ISN'T VAIN\"\n", 3},
		{"a/a.go", "package a\n\nconst c = `a\nb anew`\n", 4},
		{"a/a.go", "package a\n\nconst c = \"pass\\nanew\"\n", 3},
		{"a/a.go", "package a\n\n// whomever forever, trivially: vainly\n", 0},
		{"a/a.go", "package a\n\n// It runs as \"nobody\".\nconst c = \"nobody\"\n", 0},
		{"A.md", "a\nNobody\n", 2},
	},
	"verbs of doc comments": {
		{"a/a.go", "package a\n\n// A gives one.\nfunc A() {}\n", 3},
		{"a/a.go", "package a\n\n// A returns what B gives.\nfunc A() {}\n", 0},
	},
	"names of types": {
		{"a/a.go", "package a\ntype sendTarget int\n", 2},
		{"a/a.go", "package a\ntype targeted int\n", 0},
	},
	"names of tests": {
		{"a/a_test.go", "package a\nfunc Test" + overlong[:61] + "() {}\n", 2},
		{"a/a_test.go", "package a\nfunc Test" + overlong[:60] + "() {}\n", 0},
	},
	"sleeps in tests": {
		{"a/a_test.go", "package a\nfunc TestA() {\ntime.Sleep(1)\n}\n", 3},
		{"a/a_test.go", "package a\nfunc TestA() { for !ready() { time.Sleep(1) } }\n", 0},
		{"a/a_test.go", "package a\nfunc b() { time.Sleep(1) }\n" +
			"func TestA() { synctest.Test(t, func() { time.Sleep(1); b() }) }\n", 0},
		{"a/a_test.go", "package a\nfunc b() {\n time.Sleep(1) }\n" +
			"func TestA() { b(); synctest.Test(t, func() { time.Sleep(1) }) }\n", 3},
		{"a/a.go", "package a\nfunc A() { time.Sleep(1) }\n", 0},
	},
	"documented names": {
		{"a/a.go", "package a\n\nfunc A() {}\n", 3},
		{"a/a.go", "package a\n\ntype T int\n", 3},
		{"a/a.go", "package a\n\nvar V = 1\n", 3},
		{"a.go", "package a\n\n// I is I.\ntype I interface {\nM()\n}\n", 5},
		{"a/a.go", "package a\n\n// T is T.\ntype T int\n\nconst C T = 1\n\nfunc a() {}\n", 0},
	},
}

func TestEveryRuleFindsItsFaults(t *testing.T) {
	for _, r := range rules {
		found := 0
		for _, e := range examples[r.name] {
			faults := r.check(treeOf(t, map[string]string{e.file: e.text}))
			found += len(faults)
			switch {
			case e.line == 0 && len(faults) > 0:
				t.Errorf("%s, %q: found %v, want none", r.name, e.text, faults)
			case e.line != 0 && (len(faults) != 1 || faults[0].line != e.line || faults[0].path != e.file):
				t.Errorf("%s, %q: found %v, want one in line %d", r.name, e.text, faults, e.line)
			}
		}
		if found == 0 {
			t.Errorf("%s: no example breaks the rule", r.name)
		}
	}
	if len(examples) != len(rules) {
		t.Errorf("there are examples for %d rules, and %d rules", len(examples), len(rules))
	}
}
