package arch

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
)

// rule is a rule of the house that a program can keep.
type rule struct {
	name  string
	check func(*tree) []fault
}

// fault is a place that breaks a rule, with what to do about it.
type fault struct {
	path string
	line int
	text string
}

func (f fault) String() string { return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text) }

var rules = []rule{
	{"imports", imports},
	{"interface width", interfaceWidths},
	{"methods of a type", methodCounts},
	{"length of a file", fileLengths},
	{"length of a function", functionLengths},
	{"length of a line", lineLengths},
	{"words", forbiddenWords},
	{"verbs of doc comments", docVerbs},
	{"names of types", typeNames},
	{"names of tests", testNames},
	{"sleeps in tests", sleeps},
	{"documented names", undocumented},
}

// owes reports whether a room contains a file. A room is a folder with everything below it; "." is the root folder
// alone.
func owes(room, file string) bool {
	if room == "." {
		return path.Dir(file) == "."
	}
	return strings.HasPrefix(file, room+"/")
}

func TestTheHouseKeepsItsRules(t *testing.T) {
	tr := load(t)
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			faults := r.check(tr)
			for _, f := range faults {
				if !slices.ContainsFunc(owed[r.name], func(room string) bool { return owes(room, f.path) }) {
					t.Error(f)
				}
			}
			for _, room := range owed[r.name] {
				if !slices.ContainsFunc(faults, func(f fault) bool { return owes(room, f.path) }) {
					t.Errorf("%s keeps the rule: remove it from the list of this rule in owed_test.go", room)
				}
			}
		})
	}
}

func TestOnlyRulesAreOwed(t *testing.T) {
	for name := range owed {
		if !slices.ContainsFunc(rules, func(r rule) bool { return r.name == name }) {
			t.Errorf("owed_test.go: there is no rule %q", name)
		}
	}
}
