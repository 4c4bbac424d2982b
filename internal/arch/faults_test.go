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

func TestEveryRuleFindsItsFaults(t *testing.T) {
	long := strings.Repeat("x", 121)
	for _, c := range []struct {
		rule, file, text string
		line             int // of the fault; 0: there is none
	}{
		{"imports", "proxy/a.go", "package proxy\nimport _ \"rhumb/sqlite\"\n", 2},
		{"imports", "proxy/a_test.go", "package proxy\nimport _ \"rhumb/sqlite\"\n", 0},
		{"interface width", "a/a.go", "package a\ntype I interface { A(); B(); C(); D(); E(); F(); G() }\n", 2},
		{"interface width", "a/a.go", "package a\ntype I interface { A(); B(); C(); D(); E(); F(); J }\n", 0},
		{"methods of a type", "a/a.go", "package a\n" + strings.Repeat("func (*T[X]) A() {}\n", 21), 2},
		{"methods of a type", "a/a.go", "package a\n" + strings.Repeat("func (T) A() {}\n", 20), 0},
		{"length of a file", "a/a.go", "package a\n" + strings.Repeat("\n", 400), 401},
		{"length of a file", "a/a.go", "package a\n" + strings.Repeat("\n", 399), 0},
		{"length of a function", "a/a.go", "package a\nfunc f() {\n" + strings.Repeat("\n", 44) + "}\n", 2},
		{"length of a function", "a/a.go", "package a\nfunc f() {\n" + strings.Repeat("\n", 43) + "}\n", 0},
		{"length of a line", "a/a.go", "package a\n// " + long + "\n", 2},
		{"length of a line", "a/a.go", "package a\n// https://" + long + "\n", 0},
		{"length of a line", "a/a.go", "package a\nconst c = `\n" + long + "\n`\n", 0},
		{"length of a line", "a/a.go", "package a\nconst c = `" + long + "`\n", 2},
		{"length of a line", "A.md", "a\n" + long[:101] + "\n", 2},
		{"length of a line", "A.md", "a\n" + long[:100] + "\n| " + long + " |\n```\n" + long + "\n```\n", 0},
		{"length of a line", "a.sh", "# " + long + "\n", 1},
		{"words", "a/a.go", "package a\n\n// A is for\n// ever.\n", 3},
		{"words", "a/a.go", "package a\n\nconst c = \"It ISN'T VAIN\"\n", 3},
		{"words", "a/a.go", "package a\n\nconst c = `a\nb anew`\n", 4},
		{"words", "a/a.go", "package a\n\nconst c = \"pass\\nanew\"\n", 3},
		{"words", "a/a.go", "package a\n\n// whomever forever, trivially: vainly\n", 0},
		{"words", "a/a.go", "package a\n\n// It runs as \"nobody\".\nconst c = \"nobody\"\n", 0},
		{"words", "A.md", "a\nNobody\n", 2},
		{"verbs of doc comments", "a/a.go", "package a\n\n// A gives one.\nfunc A() {}\n", 3},
		{"verbs of doc comments", "a/a.go", "package a\n\n// A returns what B gives.\nfunc A() {}\n", 0},
		{"names of types", "a/a.go", "package a\ntype sendTarget int\n", 2},
		{"names of types", "a/a.go", "package a\ntype targeted int\n", 0},
		{"names of tests", "a/a_test.go", "package a\nfunc Test" + long[:61] + "() {}\n", 2},
		{"names of tests", "a/a_test.go", "package a\nfunc Test" + long[:60] + "() {}\n", 0},
		{"sleeps in tests", "a/a_test.go", "package a\nfunc TestA() {\ntime.Sleep(1)\n}\n", 3},
		{"sleeps in tests", "a/a_test.go", "package a\nfunc TestA() { for !ready() { time.Sleep(1) } }\n", 0},
		{"sleeps in tests", "a/a_test.go", "package a\nfunc b() { time.Sleep(1) }\n" +
			"func TestA() { synctest.Test(t, func() { time.Sleep(1); b() }) }\n", 0},
		{"sleeps in tests", "a/a_test.go", "package a\nfunc b() {\n time.Sleep(1) }\n" +
			"func TestA() { b(); synctest.Test(t, func() { time.Sleep(1) }) }\n", 3},
		{"sleeps in tests", "a/a.go", "package a\nfunc A() { time.Sleep(1) }\n", 0},
		{"documented names", "a/a.go", "package a\n\nfunc A() {}\n", 3},
		{"documented names", "a/a.go", "package a\n\ntype T int\n", 3},
		{"documented names", "a/a.go", "package a\n\nvar V = 1\n", 3},
		{"documented names", "a.go", "package a\n\n// I is I.\ntype I interface {\nM()\n}\n", 5},
		{"documented names", "a/a.go", "package a\n\n// T is T.\ntype T int\n\nconst C T = 1\n\nfunc a() {}\n", 0},
	} {
		for _, r := range rules {
			if r.name != c.rule {
				continue
			}
			faults := r.check(treeOf(t, map[string]string{c.file: c.text}))
			switch {
			case c.line == 0 && len(faults) > 0:
				t.Errorf("%s, %q: found %v, want none", c.rule, c.text, faults)
			case c.line != 0 && (len(faults) != 1 || faults[0].line != c.line || faults[0].path != c.file):
				t.Errorf("%s, %q: found %v, want one in line %d", c.rule, c.text, faults, c.line)
			}
		}
	}
}
