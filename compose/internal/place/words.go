package place

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Closest returns the candidate that name was probably meant to be, or "".
func Closest(name string, candidates []string) string {
	most := 1 // edits
	if len(name) > 3 {
		most = 2 + len(name)/9
	}
	most = min(most, len(name)-1) // a name with no letter in common is another word
	best, bestDistance := "", most+1
	for _, c := range candidates {
		if d := distance(strings.ToLower(name), c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance returns the number of edits between two words; swapping two neighbours is one edit (optimal string
// alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// DidYouMean returns a hint for a name that isn't among the candidates.
func DidYouMean(name string, candidates []string) string {
	if c := Closest(name, candidates); c != "" {
		return "did you mean " + c + "?"
	}
	if len(candidates) == 0 || len(candidates) > 12 {
		return ""
	}
	sorted := slices.Sorted(slices.Values(candidates))
	return "there is " + strings.Join(sorted, ", ")
}

// SetHint returns a hint that says how to set a variable.
func SetHint(name string) string { return "set " + name + " in the environment or in .env" }

// TimeHint is the hint that says how to write a time.
const TimeHint = "write it as 30s or 1m30s"

// Or joins words: "a, b or c".
func Or(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// Printable returns a text with unprintable characters escaped, as in \x1b, so that a file's text can't control a
// terminal.
func Printable(s string) string {
	printable := func(r rune) bool { return r != utf8.RuneError && (unicode.IsPrint(r) || r == ' ') }
	if !strings.ContainsFunc(s, func(r rune) bool { return !printable(r) }) {
		return s
	}
	var b strings.Builder
	for i, w := 0, 0; i < len(s); i += w {
		var r rune
		if r, w = utf8.DecodeRuneInString(s[i:]); printable(r) {
			b.WriteRune(r)
		} else {
			quoted := strconv.Quote(s[i : i+w])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}
