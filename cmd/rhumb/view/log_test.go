package view

import (
	"testing"
	"time"

	"rhumb"
)

func TestOnlyColoursOfApplicationsPassToATerminal(t *testing.T) {
	for text, want := range map[string]string{
		"plain":                             "plain",
		"\x1b[31mred\x1b[0m":                "\x1b[31mred\x1b[0m\x1b[0m",
		"\x1b[1;38:2::1:2:3mrgb":            "\x1b[1;38:2::1:2:3mrgb\x1b[0m",
		"a\x1b[2Jb\x1b[Hc":                  "abc",
		"\x1b]0;title\x07\x1b[32mgreen":     "\x1b[32mgreen\x1b[0m",
		"\x1b]0;\x1b[32mtitle\x07":          "\x1b[32mtitle\x1b[0m",
		"\x1b[3\x1b[31m1J":                  "3\x1b[31m1J\x1b[0m",
		"\x1b]8;;http://x\x1b\\link\x1b[0m": "link\x1b[0m\x1b[0m",
		"\u009b31mc1\x1b[1m":                "c1\x1b[1m\x1b[0m",
		"50%\r60%":                          "50% 60%",
		"\xff\x1b[1m\xfe":                   "\ufffd\x1b[1m\ufffd\x1b[0m",
	} {
		if got := coloured(text, true); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
	if got := coloured("\x1b[31mred", false); got != "red" {
		t.Errorf("in a file it is %q", got)
	}
}

func FuzzNoForeignSequenceMovesTheCursor(f *testing.F) {
	f.Add("\x1b[31mred\x1b]0;t\x07")
	f.Add("\x1b[\x1b[1m2J\u009b\x1b[0mH")
	f.Fuzz(func(t *testing.T, text string) {
		if rest := colours.ReplaceAllString(coloured(text, true), ""); rest != Plain(rest) {
			t.Errorf("%q lets %q pass", text, rest)
		}
	})
}

func TestTheEndOfADeploymentIsOneLine(t *testing.T) {
	for want, d := range map[string]rhumb.Deployment{
		"shop@42 serves":                   {To: 42, From: 41, Phase: rhumb.PhaseConverged},
		"shop is down":                     {From: 41, Phase: rhumb.PhaseConverged},
		"shop@42 put back, shop@41 serves": {To: 42, From: 41, Phase: rhumb.PhaseRolledBack},
		"shop@1 rolled back":               {To: 1, Phase: rhumb.PhaseRolledBack},
		"shop@42 stuck":                    {To: 42, From: 41, Phase: rhumb.PhaseStuck},
	} {
		d.Stack, d.Ended = "shop", time.Now()
		if got := outcome(d); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBarsShowEveryNumberThatIsNotZero(t *testing.T) {
	for _, c := range []struct {
		numbers []int64
		want    string
	}{
		{nil, ""},
		{[]int64{0, 0}, "▁▁"},
		{[]int64{0, 1, 1}, "▁▇▇"},
		{[]int64{0, 1, 26, 51, 76, 100}, "▁▂▃▅▇▇"},
		{[]int64{1, 1e12}, "▂▇"},
	} {
		most := int64(1)
		for _, n := range c.numbers {
			most = max(most, n)
		}
		if got := bars(c.numbers, most); got != c.want {
			t.Errorf("%v are drawn as %s, want %s", c.numbers, got, c.want)
		}
	}
}
