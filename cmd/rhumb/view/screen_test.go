package view

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestForeignEscapesDoNotReachTheScreen(t *testing.T) {
	for written, want := range map[string]string{
		"plain é\tß\n":                              "plain é\tß\n",
		"a\x1b[31mred\x1b[0m b":                     "ared b",
		"a\x1b]0;title\x07b":                        "ab",
		"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "alink",
		"a\x1b]0;never ends\nb":                     "a\nb",
		"a\x1b[2J\x1b[1;1H\x1bcb":                   "ab",
		"a\u009b31mb\u0090q\u009cc\x7f\x00\x08d":    "abcd",
		"a\x1b":                                     "a",
		"10%\r20%\r\n":                              "10% 20%\n",
		"a\x9b2Jb":                                  "a\ufffd2Jb",
		"\x1bAAAA[31mred":                           "AAA[31mred",
	} {
		for _, colour := range []bool{true, false} {
			var out bytes.Buffer
			s := &Screen{&out, colour}
			if n, err := io.WriteString(s, written); n != len(written) || err != nil {
				t.Errorf("%q: wrote %d, %v", written, n, err)
			}
			if out.String() != want {
				t.Errorf("%q became %q, want %q", written, out.String(), want)
			}
		}
	}
}

func TestOwnColoursReachATerminalOnly(t *testing.T) {
	p := paint{on: true, screen: true}
	for _, colour := range []bool{true, false} {
		var out bytes.Buffer
		fmt.Fprintln(&Screen{&out, colour}, p.red("no")+" "+p.bold("\x1b[5mx"))
		want := "no x\n"
		if colour {
			want = "\x1b[31mno\x1b[0m \x1b[1mx\x1b[0m\n"
		}
		if out.String() != want {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}

func TestOnlyTheBlockItselfMovesTheCursor(t *testing.T) {
	var out bytes.Buffer
	subject := Subject{stack: "shop", services: []wanted{{name: "web", replicas: 1}}}
	b := newBlock(&Screen{&out, true}, paint{on: true, screen: true}, subject, time.Now)
	b.Build(rhumb.BuildProgress{Service: "web", Step: "RUN \x1b[5A\nevil"})
	b.Event(rhumb.Event{Kind: rhumb.EventWarning, Stack: "shop", Text: "\x1b[9Awarn"})
	b.Event(rhumb.Event{Kind: rhumb.EventFailed, Service: "web", Replica: "shop-web.1.1", Text: "a\nb\x1b[7A"})
	b.Close()
	for _, move := range []string{"5A", "9A", "7A"} {
		if strings.Contains(out.String(), "\x1b["+move) {
			t.Errorf("%q is in %q", move, out.String())
		}
	}
	for _, want := range []string{"building RUN evil", "a b", "\x1b[2A\x1b[J"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

func TestNoTextLeavesControlCharactersOnTheScreen(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	pieces := []string{"\x1b", "[", "]", "0;", "31m", "\x07", "\\", "P", "\u009b", "\u009c", "\x9b", "\x7f", "\r", "\n",
		"é", "x", "A", ink[:5], "\x00"}
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.IntN(12) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		if s := Plain(b.String()); strings.ContainsFunc(s, control) {
			t.Fatalf("%q became %q", b.String(), s)
		}
	}
}

func TestNamesAndCellsStayOnTheirLine(t *testing.T) {
	var out bytes.Buffer
	Stacks(NewScreen(&out), []rhumb.StackInfo{{Name: "a\x1b[2J\nFAKE", Release: 1}})
	if lines := strings.Split(out.String(), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[1], "a FAKE   1 ") {
		t.Errorf("printed %q", lines)
	}
}

func TestJSONEscapesControlCharacters(t *testing.T) {
	var out bytes.Buffer
	if err := Line(NewScreen(&out), "a\x1b[2J\x7f\u009b<é>"); err != nil {
		t.Fatal(err)
	}
	if want := `"a\u001b[2J\u007f\u009b<é>"` + "\n"; out.String() != want {
		t.Errorf("got %s", out.String())
	}
}
