package compose

import (
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/sirupsen/logrus"

	"rhumb"
)

// The library itself reads the env files of includes, and docker compose reads all env files with it.
func TestEnvFilesMeanTheSameAsInCompose(t *testing.T) {
	t.Parallel()
	logrus.SetOutput(io.Discard)
	defer logrus.SetOutput(os.Stderr)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	words := []string{"A", "B", "export ", "=", "=", ": ", "\n", "\n", "\r\n", "'", "\"", "#", " #", " ", "\t", "$A",
		"${B}", "${C:-x}", "$$", "\\$", "\\", "\\n", "\\101", "\\0101",
		"x y", "é", "[0]", "-", ".", "{", "1"}
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.IntN(14) {
			b.WriteString(words[r.IntN(len(words))])
		}
		sameAsCompose(t, []byte(b.String()))
	}
}

func FuzzEnvFiles(f *testing.F) {
	logrus.SetOutput(io.Discard)
	f.Add([]byte("A=1\nexport B='$x'\nC: \"a\\n${B:-y}\" # c\nHERE\n"))
	f.Fuzz(sameAsCompose)
}

// shortOctal is an escape that the library breaks: "\\01" loses its 0.
var shortOctal = regexp.MustCompile(`\\0`)

// sameAsCompose checks that a file accepted by both readers means the same to both, and that ours accepts every file
// that the library accepts.
func sameAsCompose(t *testing.T, b []byte) {
	lookup := func(k string) (string, bool) { return "here", !slices.Contains([]string{"A", "B", "C"}, k) }
	b = append(b, '\n') // the library reads a last name without a newline as a value
	file := newEnvFile("f", lookup, map[string]string{})
	file.readDotenv(b)
	for _, e := range file.bad {
		if !strings.HasPrefix(e.At, "f:") && !strings.Contains(e.Msg, "more than") || e.Hint == "" {
			t.Errorf("%q: %v has no place or no hint", b, e)
		}
	}
	want, err := dotenv.ParseWithLookup(strings.NewReader(string(b)), lookup)
	odd := !utf8.Valid(b) || shortOctal.Match(b)
	for name := range want {
		odd = odd || name == "" || badVariableName(name) != ""
	}
	switch {
	case err == nil && len(file.bad) == 0 && !odd && !maps.Equal(file.vars, want):
		t.Errorf("%q: %q, and to Compose %q", b, file.vars, want)
	case err == nil && len(file.bad) > 0 && !odd:
		t.Errorf("%q: Compose takes it, and here %v", b, file.bad)
	}
}

func TestTheErrorForADollarSaysHowToEscapeIt(t *testing.T) {
	for _, tc := range []struct{ content, value, told string }{
		{"P=abc$def", "", "%s:1: P: variable def is not set and has no default"},
		{"\nP=\"abc$def\"", "", "%s:2: P: variable def is not set and has no default"},
		{"P=abc${def?say it}", "", "%s:1: P: variable def is not set: say it"},
		{"P=abc${1}", "", "%s:1: P: it has a $ that doesn't begin a variable"},
		{"P=abc$1 $", "abc$1 $", ""},
		{"P='abc$def'", "abc$def", ""},
		{"P=abc$$def", "abc$def", ""},
		{`P="abc\$def"`, "abc$def", ""},
		{"P=abc${def:-}", "abc", ""},
		{"def=x\nP=abc$def", "abcx", ""},
	} {
		for _, file := range []string{"app.env", ".env"} {
			dir := t.TempDir()
			write(t, dir, file, tc.content+"\n")
			write(t, dir, "compose.yaml", "services: {web: {image: x, env_file: "+file+"}}")
			told := ""
			if tc.told != "" {
				told = fmt.Sprintf(tc.told, file)
			}
			p, err := Load(t.Context(), Options{Dir: dir})
			switch {
			case told != "":
				if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.HasPrefix(err.Error(), told) {
					t.Errorf("%s with %q gives %v, want %s", file, tc.content, err, told)
				}
			case err != nil:
				t.Errorf("%s with %q gives %v", file, tc.content, err)
			default:
				if got := container(p, "web").Env["P"]; got != tc.value {
					t.Errorf("%s with %q is %q", file, tc.content, got)
				}
			}
		}
	}
}
