package compose

import (
	"bytes"
	"fmt"
	"iter"
	"regexp"
	"strings"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"rhumb"
	"rhumb/compose/internal/place"
)

// parseEnv is the library's parser, with its panics made errors.
func parseEnv(b []byte, lookup func(string) (string, bool)) (vars map[string]string, err error) {
	defer recovered(&err)
	if bytes.Count(b, []byte("$")) > maxDollars {
		return nil, fmt.Errorf("more than %d variables in the values", maxDollars)
	}
	return dotenv.ParseWithLookup(bytes.NewReader(b), lookup)
}

// assignment is a line NAME=value of an env file, or several lines if the value is quoted.
type assignment struct {
	line   int
	value  string
	closed bool // false: a quote opens and isn't closed
}

// assignments splits an env file as the library does.
func assignments(b []byte) iter.Seq[assignment] {
	return func(yield func(assignment) bool) {
		rest, line := string(b), 1
		for rest != "" {
			text, after, _ := strings.Cut(rest, "\n")
			_, value, _ := strings.Cut(text, "=")
			value = strings.TrimLeft(value, " \t")
			a := assignment{line: line, value: value, closed: true}
			if value != "" && (value[0] == '"' || value[0] == '\'') && !strings.HasPrefix(strings.TrimSpace(text), "#") {
				begin := strings.Index(rest, value)
				end := closing(rest[begin+1:], value[0])
				a.closed = end >= 0
				if a.closed {
					a.value = rest[begin : begin+end+2]
					line += strings.Count(a.value, "\n")
					_, after, _ = strings.Cut(rest[begin+end+2:], "\n")
				}
			}
			if !yield(a) {
				return
			}
			rest, line = after, line+1
		}
	}
}

// closing returns where a quote closes, or -1.
func closing(s string, quote byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case quote:
			return i
		}
	}
	return -1
}

var (
	atLine    = regexp.MustCompile(`line (\d+)`)
	envPrefix = regexp.MustCompile(`^line \d+: `)
	envName   = regexp.MustCompile(`^(unexpected character .+?) in variable name .*$`)
)

// envError makes a mistake of what is wrong with an env file. It repeats no value: those may be secrets.
func envError(name string, b []byte, err error) *rhumb.Error {
	text := firstLine(err.Error())
	line, reason, hint := 0, envPrefix.ReplaceAllString(text, ""), "each line is NAME=value"
	if m := atLine.FindStringSubmatch(text); m != nil {
		line = number(m[1])
	}
	if m := envName.FindStringSubmatch(reason); m != nil {
		reason = m[1] + " in a name"
	}
	dollars := 0
	for a := range assignments(b) {
		if !a.closed && strings.Contains(text, "unterminated") {
			line, reason, hint = a.line, "the quote isn't closed", quoteHint
			break
		}
		dollars += strings.Count(a.value, "$")
		if line == 0 && dollars > maxDollars {
			line, hint = a.line, "use fewer"
		}
		if line > 0 || !strings.Contains(a.value, "$") {
			continue
		}
		if _, broken := substitute(a.value, func(string) (string, bool) { return "", true }); broken != nil {
			line, reason, hint = a.line, "a $ begins no variable", "write $$ for a plain $, or put the value in single quotes"
		}
	}
	if strings.HasPrefix(reason, "unterminated") {
		reason, hint = "the quote isn't closed", quoteHint
	}
	return &rhumb.Error{Code: rhumb.Invalid, At: place.At(name, min(max(line, 1), lineCount(b))), Msg: "not an env file: " + reason, Hint: hint, Err: err}
}
