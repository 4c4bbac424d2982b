// Package doctor looks at the machine that a server runs on and tells what is wrong with it, and what to do. Gather
// asks the machine, the engine and the server for facts; Examine decides about them and asks nobody.
package doctor

// Level says how much a finding matters.
type Level string

const (
	OK      Level = "ok"      // as it should be
	Warning Level = "warning" // it works, but somebody should know
	Problem Level = "problem" // something doesn't work, or soon won't
)

// Finding is one thing that a check found.
type Finding struct {
	Check string // what was looked at: "engine", "disk"
	Level Level
	Text  string // what is there
	Hint  string `json:",omitzero"` // what to do next; "" where nothing is to be done
}

// check looks at one side of the facts. It is pure.
type check func(Facts) []Finding

var checks = []check{
	serverCheck, daemonsCheck, engineCheck, kernelCheck, portsCheck, firewallCheck,
	namesCheck, certificatesCheck, diskCheck, memoryCheck, clockCheck, leftoversCheck,
}

// Examine runs all checks over the facts, in a fixed order.
func Examine(f Facts) []Finding {
	var found []Finding
	for _, c := range checks {
		found = append(found, c(f)...)
	}
	return found
}

// Count tells how many findings are of a level.
func Count(found []Finding, l Level) int {
	n := 0
	for _, f := range found {
		if f.Level == l {
			n++
		}
	}
	return n
}
