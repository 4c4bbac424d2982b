// Package doctor examines the machine of a server. It reports what is wrong and what to do. Gather collects facts
// from the machine, the engine and the server; Examine is pure and turns facts into findings.
package doctor

// Level is how much a finding matters.
type Level string

const (
	OK      Level = "ok"      // nothing to do
	Warning Level = "warning" // it works, but deserves attention
	Problem Level = "problem" // something doesn't work, or will soon fail
)

// Finding is one result of a check.
type Finding struct {
	Check string // the subject: "engine", "disk"
	Level Level
	Text  string // what was found
	Hint  string `json:",omitzero"` // what to do; "" for nothing
}

// check examines one kind of facts. It is pure.
type check func(Facts) []Finding

var checks = []check{
	serverCheck, daemonsCheck, engineCheck, kernelCheck, portsCheck, firewallCheck,
	namesCheck, clientsCheck, certificatesCheck, diskCheck, memoryCheck, clockCheck, forwardingCheck,
	limitsCheck, leftoversCheck,
}

// Examine runs all checks on the facts, in a fixed order.
func Examine(f Facts) []Finding {
	var found []Finding
	for _, c := range checks {
		found = append(found, c(f)...)
	}
	return found
}

// Count returns how many findings are of a level.
func Count(found []Finding, l Level) int {
	n := 0
	for _, f := range found {
		if f.Level == l {
			n++
		}
	}
	return n
}
