package compose

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"rhumb"
	"rhumb/compose/internal/place"
)

// envFile is the content of an env file.
type envFile struct {
	name   string // for people
	lookup func(string) (string, bool)
	vars   map[string]string // of this file and of earlier ones
	unset  []missing
	bad    rhumb.Errors
}

// newEnvFile returns a file that adds to vars. Its values may use the variables that lookup knows, then those of
// vars.
func newEnvFile(name string, lookup func(string) (string, bool), vars map[string]string) *envFile {
	return &envFile{name: name, lookup: lookup, vars: vars}
}

// dotenvReader reads an env file like the Compose library, but keeps track of lines, which the library loses.
type dotenvReader struct {
	*envFile
	rest string
	line int // where rest begins
}

// readDotenv reads NAME=value assignments: plain, in double quotes with escapes, or in single quotes, in which a $ is
// literal.
func (f *envFile) readDotenv(b []byte) {
	text := strings.TrimPrefix(string(b), "\ufeff")
	if strings.Count(text, "$") > maxDollars {
		f.noEnvFile(1, "more than "+strconv.Itoa(maxDollars)+" variables in the values")
		return
	}
	r := &dotenvReader{envFile: f, rest: text, line: 1}
	for r.skip(); r.rest != ""; r.skip() {
		r.assignment()
	}
}

// skip skips white space, empty lines and comments.
func (r *dotenvReader) skip() {
	for {
		r.take(len(r.rest) - len(strings.TrimLeftFunc(r.rest, unicode.IsSpace)))
		if !strings.HasPrefix(r.rest, "#") {
			return
		}
		r.take(lineEnd(r.rest))
	}
}

// take advances by n bytes and returns them.
func (r *dotenvReader) take(n int) string {
	taken := r.rest[:n]
	r.line += strings.Count(taken, "\n")
	r.rest = r.rest[n:]
	return taken
}

// lineEnd returns the end of the first line of s.
func lineEnd(s string) int {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return i
	}
	return len(s)
}

func (r *dotenvReader) assignment() {
	line := r.line
	if after, ok := strings.CutPrefix(r.rest, "export"); ok && after != "" && unicode.IsSpace(rune(after[0])) {
		r.rest = strings.TrimLeftFunc(after, isBlank)
	}
	end := strings.IndexAny(r.rest, "=:\n")
	if end < 0 {
		end = len(r.rest)
	}
	name := strings.TrimRightFunc(r.rest[:end], unicode.IsSpace)
	if reason := badVariableName(name); reason != "" {
		r.noEnvFile(line, reason)
		r.take(lineEnd(r.rest))
		return
	}
	if end == len(r.rest) || r.rest[end] == '\n' {
		if value, ok := r.lookup(name); ok {
			r.vars[name] = value
		}
		r.take(end)
		return
	}
	r.take(end + 1)
	r.take(len(r.rest) - len(strings.TrimLeftFunc(r.rest, isBlank)))
	r.value(name, line)
}

// badVariableName returns what is wrong with a name. It never shows text that may be part of a value.
func badVariableName(name string) string {
	if name == "" {
		return "the name is missing"
	}
	for _, c := range name {
		switch {
		case unicode.IsSpace(c):
			return "the name has a space"
		case !unicode.IsLetter(c) && !unicode.IsNumber(c) && !strings.ContainsRune("_.-[]", c) || c == utf8.RuneError:
			return "a name can't have " + strconv.QuoteRune(c)
		}
	}
	return ""
}

// value reads the value of the name in the given line.
func (r *dotenvReader) value(name string, line int) {
	if r.rest == "" || r.rest[0] != '\'' && r.rest[0] != '"' {
		value, _, _ := strings.Cut(r.take(lineEnd(r.rest)), " #")
		r.assign(name, line, strings.TrimRightFunc(value, unicode.IsSpace), true)
		return
	}
	quote := r.rest[0]
	value, length := quoted(r.rest, quote)
	if length == 0 {
		r.mistake(line, name+": the quote isn't closed", "end the value with "+string(quote))
		r.rest = ""
		return
	}
	r.take(length)
	if quote == '"' {
		value = unescaped(value)
	}
	r.assign(name, line, value, quote == '"')
}

// quoted returns the text between the quote at the start of s and the closing one, and the length with both quotes; 0
// if the closing quote is missing. A backslash escapes a quote, and is literal before anything else.
func quoted(s string, quote byte) (value string, length int) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == quote:
			return b.String(), i + 1
		case s[i] == '\\' && i+1 < len(s):
			if i++; s[i] != quote {
				b.WriteByte('\\')
			}
		}
		b.WriteByte(s[i])
	}
	return "", 0
}

// unescaped replaces the escapes of a value in double quotes. \$ becomes $$, which stands for a literal $ when
// variables are replaced.
func unescaped(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		i++
		if plain, ok := escapes[s[i]]; ok {
			b.WriteString(plain)
			continue
		}
		if octal := s[i:min(i+4, len(s))]; octal[0] == '0' && len(octal) == 4 {
			if n, err := strconv.ParseUint(octal[1:], 8, 8); err == nil {
				b.WriteRune(rune(n))
				i += 3
				continue
			}
		}
		b.WriteByte('\\')
		b.WriteByte(s[i])
	}
	return b.String()
}

var escapes = map[byte]string{'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
	'"': `"`, '\\': `\`, '$': "$$"}

// assign stores a value, with its variables replaced unless it is literal.
func (r *dotenvReader) assign(name string, line int, value string, variables bool) {
	if !utf8.ValidString(value) {
		r.noEnvFile(line, "it isn't UTF-8")
		return
	}
	if !variables {
		r.vars[name] = value
		return
	}
	value, absents, err := interpolated(value, func(k string) (string, bool) {
		if v, ok := r.lookup(k); ok {
			return v, true
		}
		v, ok := r.vars[k]
		return v, ok
	})
	if err != nil {
		r.mistake(line, name+": it has a $ that doesn't begin a variable",
			"write $$ for a literal $, or put the value in single quotes")
	}
	for _, a := range absents {
		r.unset = append(r.unset, missing{absent: a, at: place.At(r.name, line), path: name, envFile: true})
	}
	r.vars[name] = value
}

// mistake records a mistake in a line; line 0 is the whole file.
func (f *envFile) mistake(line int, msg, hint string) {
	f.bad = append(f.bad, &rhumb.Error{Code: rhumb.Invalid, At: place.At(f.name, line), Msg: msg, Hint: hint})
}

// noEnvFile records that a line doesn't belong into an env file.
func (f *envFile) noEnvFile(line int, reason string) {
	f.mistake(line, "not an env file: "+reason, "each line is NAME=value")
}

// isBlank reports whether the rune is white space that doesn't end a line.
func isBlank(r rune) bool { return r != '\n' && unicode.IsSpace(r) }
