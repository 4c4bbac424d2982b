package compose

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/schema"
	"github.com/compose-spec/compose-go/v2/tree"

	"rhumb"
	"rhumb/compose/internal/place"
)

// wrongValues are values of many kinds. Most of them are wrong for most keys.
var wrongValues = []string{
	"", "~", `""`, "[]", "[text]", "[1]", "[~]", "[[text]]", "[{a: b}]", "{}", "{a: b}", "{a: ~}", "{a: [b]}", "{1: b}",
	"{~: b}", "{2020-01-01: b}",
	"{a: {b: {c: d}}}", "[2020-01-01]", "2020-01-01", "2020-01-01T10:00:00Z", "3", "-1", "3.5", ".inf", ".nan", "true",
	"text with spaces",
	strings.Repeat("long", 100), `"\e[31mred\0"`, "99999999999999999999", "!!int text", `"${UNSET}"`,
}

// A run tries one value in sixteen, which depend on the seed; RHUMB_TEST_LONG=1 tries all.
func TestEveryKeyWithAWrongValueIsReportedWithItsLine(t *testing.T) {
	paths, stride := schema.AttributePaths(), 16
	if os.Getenv("RHUMB_TEST_LONG") != "" {
		stride = 1
	}
	offset := int(seeded(t).Uint64() % 16)
	const parts = 8
	for part := range parts {
		t.Run(fmt.Sprint(part), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i := part; i < len(paths); i += parts {
				for j, value := range wrongValues {
					if (i/parts+j+offset)%stride != 0 {
						continue
					}
					text := fileWith(paths[i], value)
					_, err := Load(t.Context(), Options{Dir: dir, Files: []string{"-"}, Name: "x", Stdin: strings.NewReader(text)})
					if wrong := badlyTold(err); wrong != "" {
						t.Errorf("%s: told %q of\n%.500s", wrong, told(err), text)
					}
				}
			}
		})
	}
}

// fileWith returns a Compose file with a value at a path of the specification.
func fileWith(path tree.Path, value string) string {
	var b strings.Builder
	indent, item := "", ""
	for i, name := range path.Parts() {
		if name == "[]" {
			b.WriteString("\n" + indent + "-")
			indent, item = indent+"  ", " "
			continue
		}
		if name == "*" {
			name = "any"
		}
		if item == "" && i > 0 {
			b.WriteString("\n" + indent)
		}
		b.WriteString(item + name + ":")
		indent, item = indent+"  ", ""
		if i == 1 && path.Parts()[0] == "services" {
			if len(path.Parts()) > 2 && path.Parts()[2] != "image" {
				b.WriteString("\n" + indent + "image: x")
			}
		}
	}
	b.WriteString(" " + value + "\n")
	if path.Parts()[0] != "services" {
		b.WriteString("services:\n  a:\n    image: x\n")
	}
	return b.String()
}

// foreignText matches text that only programmers understand.
var foreignText = regexp.MustCompile(`interface ?\{|interface conversion|map\[|%!|strconv|time\.[A-Z]|<nil>|` +
	`[ (]json: |reflect|runtime error|mapstructure|nil pointer|unmarshal|construct|!!str|unconvertible|` +
	`expected type|unexpected type|types\.|[ (]yaml: |at '|oneOf|additional propert|jsonschema|false schema|` +
	`can't be understood`)

// badlyTold returns what is wrong with the mistakes reported for a file, or "".
func badlyTold(err error) string {
	var list rhumb.Errors
	var one *rhumb.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &list):
	case errors.As(err, &one):
		list = rhumb.Errors{one}
	default:
		return "a foreign error"
	}
	for _, e := range list {
		text := e.Error() + " | " + e.Hint
		_, line := place.Split(e.At)
		switch {
		case strings.HasPrefix(e.Msg, "and ") && strings.Contains(e.Msg, " more mistake"):
		case e.Code != rhumb.Invalid:
			return "not a mistake of the file"
		case line == 0:
			return "no line"
		case !utf8.ValidString(text):
			return "broken UTF-8"
		case strings.ContainsFunc(text, unicode.IsControl):
			return "control characters"
		case foreignText.MatchString(text):
			return "text for programmers: " + foreignText.FindString(text)
		}
	}
	return ""
}
