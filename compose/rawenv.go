package compose

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"

	"rhumb/compose/internal/diskfile"
)

// rawFormat is the format of env files whose values are taken as they are: no quotes, no variables.
const rawFormat = "raw"

// registerRaw teaches the library the format, which the specification has and the library leaves to its users.
var registerRaw = sync.OnceFunc(func() {
	dotenv.RegisterFormat(rawFormat, func(r io.Reader, name string, vars map[string]string, lookup func(string) (string, bool)) error {
		b, err := io.ReadAll(io.LimitReader(r, diskfile.MaxEnvFile))
		if err != nil {
			return err
		}
		found, err := parseRaw(b, lookup)
		maps.Copy(vars, found)
		return err
	})
})

// parseRaw reads lines NAME=value. A line with a name alone takes the value that lookup knows, as docker run --env-file does.
func parseRaw(b []byte, lookup func(string) (string, bool)) (map[string]string, error) {
	vars := map[string]string{}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))) {
		number++
		text := strings.TrimLeft(strings.TrimRight(string(line), "\r\n"), " \t")
		name, value, assigned := strings.Cut(text, "=")
		switch {
		case text == "" || text[0] == '#':
			continue
		case !utf8.ValidString(text):
			return vars, fmt.Errorf("line %d: it isn't UTF-8", number)
		case name == "":
			return vars, fmt.Errorf("line %d: the name is missing", number)
		case strings.ContainsAny(name, " \t"):
			return vars, fmt.Errorf("line %d: the name %q has a space", number, name)
		}
		if !assigned {
			if value, assigned = lookup(name); !assigned {
				continue
			}
		}
		vars[name] = value
	}
	return vars, nil
}
