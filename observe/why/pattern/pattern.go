// Package pattern reduces lines to what lines of one kind have in common.
package pattern

import (
	"strings"
	"unicode/utf8"
)

// Max is how many bytes a pattern has at most.
const Max = 200

// Of returns the pattern of a text: its first line, in which numbers, identifiers, times and quoted parts are masked.
// Two texts that one statement of a program has written have the same pattern, nearly always.
func Of(text string) string {
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < Max; {
		c := text[i]
		switch {
		case c == '\n':
			i = len(text)
		case c == 0x1b:
			i += escape(text[i:])
		case c == '"' || c == '`' || c == '\'' && (i == 0 || !wordByte(text[i-1])):
			n := quoted(text[i:])
			if n == 0 {
				b.WriteByte(c)
				i++
				continue
			}
			b.WriteString(`"…"`)
			i += n
		case wordByte(c):
			n := word(text[i:])
			b.WriteString(masked(text[i : i+n]))
			i += n
		default:
			if c != ' ' && c != '\t' && c >= ' ' {
				b.WriteByte(c)
			} else if s := b.String(); s != "" && s[len(s)-1] != ' ' {
				b.WriteByte(' ')
			}
			i++
		}
	}
	return Clip(strings.TrimSpace(b.String()), Max)
}

// Clip returns a text of valid UTF-8 with at most n bytes, on one line and without control characters.
func Clip(text string, n int) string {
	if first, _, more := strings.Cut(text, "\n"); more {
		text = first
	}
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "�"))
	if len(clean) <= n {
		return clean
	}
	for n > 0 && !utf8.RuneStart(clean[n]) {
		n--
	}
	return clean[:n]
}

// escape returns the length of the escape sequence with which a text begins.
func escape(s string) int {
	if len(s) < 2 || s[1] != '[' {
		return 1
	}
	for i := 2; i < len(s); i++ {
		if s[i] >= '@' && s[i] <= '~' {
			return i + 1
		}
	}
	return len(s)
}

// quoted returns the length of the quoted part with which a text begins; 0: the quote isn't closed nearby.
func quoted(s string) int {
	for i := 1; i < min(len(s), 300); i++ {
		switch s[i] {
		case '\\':
			i++
		case '\n':
			return 0
		case s[0]:
			return i + 1
		}
	}
	return 0
}

func wordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.' ||
		c == ':' || c == '/' || c == '+' || c >= 0x80
}

// word returns the length of the word with which a text begins.
func word(s string) int {
	n := 0
	for n < len(s) && wordByte(s[n]) {
		n++
	}
	return n
}

// masked returns a word with # for each part that varies.
func masked(w string) string {
	if strings.IndexFunc(w, func(r rune) bool { return r >= '0' && r <= '9' }) < 0 {
		return w
	}
	var b strings.Builder
	marks, letters := 0, 0
	for i := 0; i < len(w); {
		n, digits := alnum(w[i:])
		switch {
		case n == 0:
			b.WriteByte(w[i])
			i++
			continue
		case digits:
			b.WriteString("#")
			marks++
		default:
			b.WriteString(w[i : i+n])
			letters += n
		}
		i += n
	}
	if marks >= 4 || len(w) >= 24 && marks > 0 && letters < len(w)/2 { // an identifier or a time
		return "#"
	}
	return b.String()
}

// alnum returns the length of the run of letters and digits with which a word begins, and whether it has digits.
func alnum(s string) (n int, digits bool) {
	for n < len(s) {
		switch c := s[n]; {
		case c >= '0' && c <= '9':
			digits = true
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= 0x80:
		default:
			return n, digits
		}
		n++
	}
	return n, digits
}
