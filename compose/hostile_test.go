package compose

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// Files that no user would write must neither hang, nor panic, nor use up the memory.
func TestHostileFilesSoonEndInErrors(t *testing.T) {
	t.Parallel()
	most := 1 << 20
	if os.Getenv("RHUMB_TEST_LONG") != "" {
		most = 4 << 20
	}
	service := "services:\n  a:\n    image: x\n"
	cases := map[string]string{
		"nested flow lists":       "services: " + strings.Repeat("[", most),
		"nested flow mappings":    "services: " + strings.Repeat("{a: ", most/4),
		"nested block mappings":   nested(1500),
		"nested defaults":         "services: {a: {image: \"" + strings.Repeat("${A:-", most/5) + "\"}}",
		"many variables":          "services: {a: {image: \"" + strings.Repeat("${A:-x}", most/7) + "\"}}",
		"one long value":          "services: {a: {image: \"$A" + strings.Repeat("x", most) + "\"}}",
		"one long key":            "services: {a: {image: x, ? " + strings.Repeat("k", most) + " : 1}}",
		"aliases that multiply":   aliases(30),
		"a merge key of itself":   service + "    <<: &m {<<: *m}\n",
		"an alias of itself":      service + "    labels: &l {a: *l}\n",
		"many ports":              service + "    ports: [\"1-65535:1-65535\"]\n",
		"many ports in parts":     service + "    ports:\n" + strings.Repeat("      - 1000-1999\n", 200),
		"many mistakes":           service + strings.Repeat("    k: 1\n", 20_000),
		"many services":           "services:\n" + many(500, "  s%d: {image: x}\n"),
		"a long chain of extends": "services:\n  s4000: {image: x}\n" + chain(4_000),
		"many documents":          strings.Repeat("---\nservices: {a: {image: x}}\n", 20_000),
		"control characters":      strings.Repeat("\x01", most),
		"nothing but colons":      strings.Repeat(":\n", most/2),
		"quotes that never close": "services: \"" + strings.Repeat("a\n", most/2),
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			write(t, dir, "compose.yaml", content)
			begin := cpu(t)
			_, err := Load(t.Context(), Options{Dir: dir, AllowUnset: true})
			took := cpu(t) - begin
			t.Logf("%v: %.200v", took.Round(time.Millisecond), err)
			var one *rhumb.Error
			if err != nil && (!errors.As(err, &one) || len(err.Error()) > 100_000) {
				t.Errorf("told %.200v", err)
			}
			if took > 20*time.Second { // far more than needed, for slow machines with the race detector
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestIncludesThatMultiplySoonEndInAnError(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "10.yaml", "services: {a: {image: x}}\n")
	for i := range 10 {
		write(t, dir, fmt.Sprintf("%d.yaml", i), "include: ["+strings.Repeat(fmt.Sprintf("%d.yaml, ", i+1), 9)+"]\n")
	}
	begin := cpu(t)
	_, err := Load(t.Context(), Options{Dir: dir, Files: []string{"0.yaml"}})
	if lines := told(err); len(lines) != 1 || !strings.Contains(lines[0], ": the files have too many values") {
		t.Errorf("told %q", lines)
	}
	if took := cpu(t) - begin; took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}

func nested(depth int) string {
	var b strings.Builder
	for i := range depth {
		b.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return b.String()
}

func aliases(levels int) string {
	var b strings.Builder
	b.WriteString("x-0: &a0 [x, x]\n")
	for i := 1; i < levels; i++ {
		fmt.Fprintf(&b, "x-%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	return b.String() + "services: {a: {image: x}}\n"
}

func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "  s%d: {extends: s%d}\n", i, i+1)
	}
	return b.String()
}

func many(n int, format string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestAHostileEnvFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "compose.yaml", "services: {a: {image: x}}")
	write(t, dir, ".env", "A=\""+strings.Repeat("${A:-", 100_000)+"\"\n")
	_, err := Load(t.Context(), Options{Dir: dir})
	if lines := told(err); len(lines) != 1 || !strings.HasPrefix(lines[0], ".env:1: not an env file: more than") {
		t.Errorf("told %q", lines)
	}
}
