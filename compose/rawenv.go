package compose

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// rawFormat is the format of env files with literal values: no quotes, no variables.
const rawFormat = "raw"

// readRaw reads lines NAME=value. A line with only a name has the value that lookup knows, like docker run
// --env-file.
func (f *envFile) readRaw(b []byte) {
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))) {
		number++
		text := strings.TrimLeft(strings.TrimRight(string(line), "\r\n"), " \t")
		name, value, assigned := strings.Cut(text, "=")
		switch {
		case text == "" || text[0] == '#':
			continue
		case !utf8.ValidString(text):
			f.noEnvFile(number, "it isn't UTF-8")
			continue
		case name == "":
			f.noEnvFile(number, "the name is missing")
			continue
		case strings.ContainsAny(name, " \t"):
			f.noEnvFile(number, fmt.Sprintf("the name %q has a space", name))
			continue
		}
		if !assigned {
			if value, assigned = f.lookup(name); !assigned {
				continue
			}
		}
		f.vars[name] = value
	}
}
