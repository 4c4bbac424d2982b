package logstore

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
)

// always is a condition that is true everywhere.
const always = `(?:\b|\B)`

// grep returns the terms that a regular expression matches the text, with what it means in Go.
//
// The library lets a dot match a line end. It takes shortcuts for some expressions, such as ".+", that then match other
// texts; it takes none for one that ends with a condition. It searches for the literal with which an expression begins
// and forgets what comes before the rest, as if "error\b" were "error" and "\b": so an expression with conditions
// begins with one. That makes it slow, so the first term is a literal that the text must contain. The library also
// confuses dots that match a line end with those that don't.
func grep(re string) []string {
	term := func(re string) string { return textField + ":~" + strconv.Quote(re) }
	parsed, err := syntax.Parse(re, syntax.Perl)
	if err != nil || regexp.QuoteMeta(re) == re {
		return []string{term(re)}
	}
	if has(parsed, syntax.OpAnyChar) && has(parsed, syntax.OpAnyCharNotNL) {
		undot(parsed)
		re = parsed.String()
	}
	guarded := "(?-s:" + re + ")" + always
	if !has(parsed, conditions...) {
		return []string{term(guarded)}
	}
	if must := longest(parsed); must != "" {
		return []string{term(regexp.QuoteMeta(must)), term(always + guarded)}
	}
	return []string{term(always + guarded)}
}

// longest returns the longest literal that each match of an expression contains, of those that are easy to find.
func longest(re *syntax.Regexp) string {
	switch re.Op {
	case syntax.OpLiteral:
		if re.Flags&syntax.FoldCase == 0 {
			return string(re.Rune)
		}
	case syntax.OpCapture, syntax.OpPlus, syntax.OpConcat:
		best := ""
		for _, sub := range re.Sub {
			if s := longest(sub); len(s) > len(best) {
				best = s
			}
		}
		return best
	}
	return ""
}

// conditions are the operators that match no text, but depend on what is around it.
var conditions = []syntax.Op{
	syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary,
	syntax.OpNoWordBoundary,
}

// has reports whether an expression has one of some operators.
func has(re *syntax.Regexp, ops ...syntax.Op) bool {
	return slices.Contains(ops, re.Op) ||
		slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return has(sub, ops...) })
}

// undot replaces the dots that match a line end too. An alternative of only a dot and a line end would become such a
// dot again.
func undot(re *syntax.Regexp) {
	if re.Op == syntax.OpAnyChar {
		same, err := syntax.Parse(`.|`+always+`\n`, syntax.Perl)
		if err == nil { // always
			*re = *same
		}
		return
	}
	for _, sub := range re.Sub {
		undot(sub)
	}
}
