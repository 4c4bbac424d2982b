package place

import "testing"

func TestUnprintableCharactersAreEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"web: é 世":       "web: é 世",
		"\x1b[31mred\a":  `\x1b[31mred\a`,
		"a\nb\tc\x00":    `a\nb\tc\x00`,
		"caf\xe9":        `caf\xe9`,
		"left \u202e to": `left \u202e to`,
		"del\x7f\u0085":  `del\x7f\u0085`,
	} {
		if got := Printable(text); got != want {
			t.Errorf("%q is shown as %q, not %q", text, got, want)
		}
	}
}

func TestAWordWithoutACommonLetterIsNotSuggested(t *testing.T) {
	for name, want := range map[string]string{"c": "", "ab": "a", "wbe": "web", "ports": "ports", "prot": "ports"} {
		if got := Closest(name, []string{"a", "web", "ports"}); got != want {
			t.Errorf("%s was meant to be %q", name, got)
		}
	}
}
