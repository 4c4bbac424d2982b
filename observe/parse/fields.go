package parse

import (
	"strconv"
	"strings"

	"rhumb"
)

// Describe sets the Fields and the Level of a line that has a Text, as far as the text says them. The text stays as it
// is.
func Describe(l *rhumb.LogLine) {
	if l.Fields != nil {
		return
	}
	text := plain(l.Text, maxDescribed)
	switch first := firstByte(text); {
	case first == '{' && l.Cut == 0:
		l.Fields = jsonFields(text)
	case strings.IndexByte(text, '=') > 0:
		l.Fields = logfmt(text)
	}
	if l.Fields != nil {
		l.Level = fieldLevel(l.Fields)
		return
	}
	l.Level = textLevel(text)
}

// maxDescribed is how long a line may be that has fields.
const maxDescribed = 256 << 10

// firstByte returns the first byte that isn't a space; 0 if there is none.
func firstByte(s string) byte {
	for i := range len(s) {
		if s[i] != ' ' && s[i] != '\t' {
			return s[i]
		}
	}
	return 0
}

// logfmt returns the fields of a text that is made of at least two key=value pairs and nothing else, or nil.
func logfmt(text string) map[string]string {
	if !startsWithKey(text) {
		return nil
	}
	fields := map[string]string{}
	pairs := 0
	for rest := strings.TrimSpace(text); rest != ""; rest = strings.TrimLeft(rest, " \t") {
		n := 0
		for n < len(rest) && keyByte(rest[n]) {
			n++
		}
		if n == 0 || n == len(rest) || rest[n] != '=' {
			return nil
		}
		key := rest[:n]
		value, after, ok := logfmtValue(rest[n+1:])
		if !ok {
			return nil
		}
		rest = after
		if pairs++; pairs <= maxFields && len(key) <= maxFieldName && len(value) <= maxFieldValue {
			fields[key] = value
		}
	}
	if pairs < 2 {
		return nil
	}
	return fields
}

// startsWithKey reports whether a text begins with a key and an equals sign: most lines don't.
func startsWithKey(text string) bool {
	text = strings.TrimLeft(text, " \t")
	for i := range len(text) {
		if !keyByte(text[i]) {
			return i > 0 && text[i] == '='
		}
	}
	return false
}

func keyByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '.' || c == '-' ||
		c == '/' || c == '@'
}

// logfmtValue reads a value up to the next space, or a quoted one.
func logfmtValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		n := strings.IndexAny(s, " \t\n")
		if n < 0 {
			n = len(s)
		}
		return s[:n], s[n:], strings.IndexByte(s[:n], '"') < 0
	}
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			quoted, rest := s[:i+1], s[i+1:]
			if rest != "" && rest[0] != ' ' && rest[0] != '\t' && rest[0] != '\n' {
				return "", "", false
			}
			if strings.IndexByte(quoted, '\\') < 0 {
				return quoted[1:i], rest, true
			}
			v, err := strconv.Unquote(quoted)
			if err != nil {
				v = quoted[1:i]
			}
			return v, rest, true
		}
	}
	return "", "", false
}

// plain returns at most the first n bytes of a text, without escape sequences of terminals.
func plain(s string, n int) string {
	s = s[:min(n, len(s))]
	i := strings.IndexByte(s, 0x1b)
	if i < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i >= 0 {
		b.WriteString(s[:i])
		s = s[i+escapeSize(s[i:]):]
		i = strings.IndexByte(s, 0x1b)
	}
	b.WriteString(s)
	return b.String()
}

// escapeSize returns the length of the escape sequence that a text begins with.
func escapeSize(s string) int {
	if len(s) < 2 {
		return len(s)
	}
	switch s[1] {
	case '[': // CSI: up to a byte from @ to ~
		for i := 2; i < len(s); i++ {
			if s[i] >= '@' && s[i] <= '~' {
				return i + 1
			}
			if s[i] < ' ' {
				return i
			}
		}
		return len(s)
	case ']': // OSC: up to BEL or ESC \
		for i := 2; i < len(s); i++ {
			if s[i] == 7 {
				return i + 1
			}
			if s[i] == 0x1b {
				return min(i+2, len(s))
			}
		}
		return len(s)
	case '(', ')', '#':
		return min(3, len(s))
	}
	return 2
}
