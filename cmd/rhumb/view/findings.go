package view

import (
	"fmt"
	"io"

	"rhumb/doctor"
)

// levelWidth is the width of the column of levels.
const levelWidth = 9

// Findings prints the doctor's findings with their hints, and a summary.
func Findings(w io.Writer, found []doctor.Finding) {
	p := paintOn(w)
	colours := map[doctor.Level]string{doctor.OK: "32", doctor.Warning: "33", doctor.Problem: "31"}
	wide := 0
	for _, f := range found {
		wide = max(wide, len(f.Check))
	}
	for _, f := range found {
		level := p.code(colours[f.Level], fmt.Sprintf("%-*s", levelWidth, f.Level))
		fmt.Fprintf(w, "%s%-*s  %s\n", level, wide, f.Check, f.Text)
		if f.Hint != "" {
			fmt.Fprintf(w, "%*s%s %s\n", levelWidth+wide+2, "", p.dim("hint:"), f.Hint)
		}
	}
	fmt.Fprintln(w, diagnosis(doctor.Count(found, doctor.Problem), doctor.Count(found, doctor.Warning)))
}

// diagnosis returns the summary.
func diagnosis(problems, warnings int) string {
	several := func(n int, word string) string {
		if n == 1 {
			return "1 " + word
		}
		return fmt.Sprintf("%d %ss", n, word)
	}
	switch {
	case problems > 0 && warnings > 0:
		return several(problems, "problem") + ", " + several(warnings, "warning")
	case problems > 0:
		return several(problems, "problem")
	case warnings > 0:
		return "no problem, " + several(warnings, "warning")
	}
	return "all is well"
}
