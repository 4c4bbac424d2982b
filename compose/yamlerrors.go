package compose

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"

	"rhumb"
	"rhumb/compose/internal/place"
)

// yamlMessage splits a message of the YAML library: what it was parsing and where that began, where it stopped, and
// why.
var yamlMessage = regexp.MustCompile(`^(?:while ([a-z]+ [^:]*?) at ` +
	`(?:line (\d+)(?:, column \d+)?|<unknown position>): )?` +
	`(?:line (\d+)(?:, column \d+)?: |<unknown position>: |offset (\d+): )?(.*)$`)

var yamlPrefix = regexp.MustCompile(`^((go-)?yaml:?\s*)?((unmarshal|construct|load) errors?:)?\s*`)

var atLine = regexp.MustCompile(`line (\d+)`)

// yamlError turns a message of the YAML library into a mistake, at the line where a user looks for it.
func yamlError(name string, content []byte, text string, err error) *rhumb.Error {
	text = yamlPrefix.ReplaceAllString(strings.TrimSpace(text), "")
	m := yamlMessage.FindStringSubmatch(firstLine(text))
	doing, reason := m[1], yamlPrefix.ReplaceAllString(m[5], "")
	began, line := number(m[2]), number(m[3])
	for again := atLine.FindStringSubmatch(reason); again != nil &&
		strings.HasPrefix(reason, again[0]+": "); again = atLine.FindStringSubmatch(reason) {
		line, reason = number(again[1]), reason[len(again[0])+2:]
	}
	switch {
	case m[4] != "":
		line = 1 + bytes.Count(content[:min(number(m[4]), len(content))], []byte("\n"))
	case strings.HasPrefix(doing, "parsing a") && !strings.Contains(doing, "tag"):
		began, line = began+1, max(line, began)+1 // the parser counts from 0, the scanner from 1
	}
	line, reason, hint := plainYAML(content, doing, reason, began, max(line, began, 1))
	return &rhumb.Error{Code: rhumb.Invalid, At: place.At(name, min(line, lineCount(content))), Msg: "not YAML: " + reason,
		Hint: hint, Err: err}
}

func number(s string) int {
	n, _ := strconv.Atoi(s)
	return n
}

// lineCount returns the number of lines in a text, at least 1.
func lineCount(b []byte) int {
	return max(1, bytes.Count(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))+1)
}

const quoteHint = "close it, or remove it"

// plainYAML returns the line, a plain message and a hint.
func plainYAML(content []byte, doing, reason string, began, line int) (at int, plain, hint string) {
	flow := map[string]string{"parsing a flow sequence": "[", "parsing a flow mapping": "{"}[doing]
	switch {
	case doing == "scanning a quoted scalar" &&
		(strings.Contains(reason, "end of stream") || strings.Contains(reason, "document indicator")):
		return began, "the quote isn't closed", quoteHint
	case flow != "" && began < line:
		return began, "the " + flow + " isn't closed, or a comma is missing before line " + strconv.Itoa(line),
			"look at the brackets, commas and quotes from here on"
	case flow != "":
		return line, "the " + flow + " isn't closed, or a comma is missing", "look at the brackets, commas and quotes"
	case doing == "scanning a simple key":
		return began, "a colon is missing", "write name: value; longer text needs quotes or a | before it"
	case strings.Contains(reason, "cannot start any token") && indentedByTab(content, line):
		return line, "a tab can't indent", "indent with spaces"
	case strings.Contains(reason, "control character"):
		return line, "a control character is not allowed", "remove it, or write it as \"\\x1b\" in quotes"
	case strings.Contains(reason, "UTF-8"), strings.Contains(reason, "UTF-16"):
		return line, "the text isn't UTF-8", "save the file as UTF-8"
	}
	if open := openQuote(content, line); open != 0 {
		return open, "the quote isn't closed in its line", quoteHint
	}
	for _, w := range yamlWords {
		if rest, ok := strings.CutPrefix(reason, w.library); ok {
			return line, w.plain + strings.TrimSuffix(rest, " referenced"), w.hint
		}
	}
	if reason == "" {
		reason = "it can't be parsed"
	}
	return line, strings.TrimPrefix(reason, "go-yaml "), yamlHint
}

const yamlHint = "look at the indentation, colons and quotes there and just above"

var yamlWords = []struct{ library, plain, hint string }{
	{"mapping values are not allowed in this context", "a colon isn't allowed here",
		"put the value in quotes, or look at the indentation"},
	{"did not find expected key", "a key was expected here", yamlHint},
	{"did not find expected '-' indicator", "an item of the list was expected here",
		"begin it with -, or look at the indentation"},
	{"did not find expected node content", "a value was expected here", "look for an extra comma"},
	{"found character that cannot start any token", "a value can't begin with this character", "put it in quotes"},
	{"found unknown escape character", "unknown escape sequence", "write \\\\ for a backslash, or use single quotes"},
	{"document contains excessive aliasing", "aliases of aliases make too many values", "use fewer aliases of aliases"},
	{"unknown anchor ", "unknown anchor ", "define it above with &, or put the value in quotes"},
}

func indentedByTab(content []byte, line int) bool {
	lines := bytes.Split(content, []byte("\n"))
	if line < 1 || line > len(lines) {
		return false
	}
	text := lines[line-1]
	return bytes.ContainsRune(text[:len(text)-len(bytes.TrimLeft(text, " \t"))], '\t')
}

// openQuote returns the line of an unclosed quote. Such a quote appears to be closed many lines later, in the given
// line, by the quote that opens the next value. It returns 0 if there is none.
func openQuote(content []byte, line int) int {
	now, opened, before := 1, 0, byte('\n')
	var quote byte
	for i := 0; i < len(content) && now <= line; i++ {
		c := content[i]
		switch {
		case c == '\n':
			now++
		case quote == '"' && c == '\\':
			i++
		case quote != 0 && c == quote:
			if now == line && opened < line {
				return opened
			}
			quote = 0
		case quote != 0:
		case c == '#' && bytes.IndexByte([]byte(" \t\n"), before) >= 0:
			for i+1 < len(content) && content[i+1] != '\n' {
				i++
			}
		case (c == '"' || c == '\'') && bytes.IndexByte([]byte(":-,[{\n"), before) >= 0:
			quote, opened = c, now
		}
		if c != ' ' && c != '\t' {
			before = c
		} else if before != '\n' && i > 0 && bytes.IndexByte([]byte(":-,[{"), before) < 0 {
			before = ' '
		}
	}
	return 0
}
