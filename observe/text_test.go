package observe_test

import (
	"testing"

	"rhumb/observe"
)

func TestATextBecomesOneLineThatCanBePrinted(t *testing.T) {
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"", 5, ""}, {"as it is", 8, "as it is"}, {"too long", 7, "too lo…"}, {"界界界", 2, "界…"},
		{"a\tb\r\nc\u00a0d", 20, "a b  c d"}, {"\x1b[31mred\x00\u202e", 20, "[31mred"}, {"\xff\xfe!", 20, "?!"},
	} {
		if got := observe.OneLine(c.text, c.most); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func TestHostsHaveOnlyTheirLetters(t *testing.T) {
	for s, want := range map[string]bool{
		"logs.example.com": true, "log_host-1": true, "192.0.2.7": true, "2001:db8::1": true, "fe80::1%eth0": false,
		"": false, "a b": false, "a/b": false, "höst": false, "a:b": false,
	} {
		if observe.IsHost(s) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}

func TestPrintableTextsHaveNoSpaces(t *testing.T) {
	for s, want := range map[string]bool{"": true, "a~!": true, "a b": false, "\x7f": false, "é": false, "a\n": false} {
		if observe.IsPrintable(s) != want {
			t.Errorf("%q: want %v", s, want)
		}
	}
}
