package card

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"rhumb"
)

func TestTheEndOfALongOutputIsKept(t *testing.T) {
	var out Tail
	for i := range 10_000 {
		fmt.Fprintf(&out, "line %d\n", i)
	}
	got := out.lines()
	if len(got) != HookLines || got[HookLines-1] != "line 9999" || out.b.Len() > 2*maxHookOutput+20 {
		t.Errorf("%d lines, the last %q, %d bytes kept", len(got), got[len(got)-1], out.b.Len())
	}
	if len(Ending(got)) != Lines || len(Ending(got[:3])) != 3 {
		t.Error("a card has another number of lines")
	}
}

func TestALineIsCutAndValidText(t *testing.T) {
	got := Line(strings.Repeat("ä\xff", lineMax))
	if len(got) > lineMax+10 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestADeploymentKeepsTheOutputOfItsFirstHooks(t *testing.T) {
	var d rhumb.Deployment
	for range maxHookRuns + 5 {
		KeepHook(&d, rhumb.HookRun{Logs: []string{"x"}})
	}
	if len(d.Hooks) != maxHookRuns || d.Hooks[maxLoudHooks-1].Logs == nil || d.Hooks[maxLoudHooks].Logs != nil {
		t.Errorf("%d are kept", len(d.Hooks))
	}
}

func TestACardQuotesTheCommandOfACheck(t *testing.T) {
	for _, c := range []struct {
		test []string
		want string
	}{
		{[]string{"CMD", "app", "probe", "/health"}, "app probe /health"},
		{[]string{"CMD", "app probe /health"}, "'app probe /health'"},
		{[]string{"CMD", "sh", "-c", "it's `there`"}, `sh -c 'it'\''s ` + "`there`'"},
		{[]string{"CMD", "echo", "#1", "{a,b}", "~", ""}, "echo '#1' '{a,b}' '~' ''"},
		{[]string{"CMD-SHELL", "pg_isready -q || exit 1"}, "sh -c 'pg_isready -q || exit 1'"},
		{[]string{"CMD-SHELL", "pg_isready", "-U", "shop"}, "sh -c pg_isready -U shop"},
	} {
		rep := rhumb.Replica{Stack: "shop", Service: "web", Release: 2, State: rhumb.StateRunning}
		got := Hint(rep, checked(c.test...))
		if want := "its health check is: " + c.want + "; " + start; got != want {
			t.Errorf("%q: %s, want %s", c.test, got, want)
		}
	}
}

const start = "start it by hand: rhumb run -p shop --release 2 web"

// checked returns a service with a health check.
func checked(test ...string) *rhumb.Service {
	s := &rhumb.Service{Ready: rhumb.Ready{Kind: rhumb.ReadyHealth}}
	s.Container.Health = &rhumb.Healthcheck{Test: test}
	return s
}

func TestAHintsCommandCanBeTypedAsPrinted(t *testing.T) {
	exited := rhumb.Replica{Stack: "shop", Service: "web", Release: 2, Slot: 1, State: rhumb.StateExited, ExitCode: 3}
	sick := exited
	sick.State = rhumb.StateRunning
	const is, lines = "its health check is: ", "look at the lines above"
	const hook = "; run it by hand: rhumb run -p shop --release 2 "
	words, shell := checked("CMD", "app probe /health", "-q"), checked("CMD-SHELL", `test "$A" = it's`)
	shares := &rhumb.Service{Container: rhumb.Container{NetworkMode: "service:db"}}
	for name, c := range map[string]struct{ got, want string }{
		"exited":         {Hint(exited, &rhumb.Service{}), lines + "; " + start},
		"shares":         {Hint(exited, shares), lines},
		"unknown":        {Hint(exited, nil), lines},
		"words":          {Hint(sick, words), is + "'app probe /health' -q; " + start},
		"shell":          {Hint(sick, shell), is + `sh -c 'test "$A" = it'\''s'; ` + start},
		"hook":           {HookHint("shop", 2, "web", []string{"a b"}), lines + hook + "web 'a b'"},
		"hook's service": {HookHint("shop", 2, "web.pre_start.1", nil), lines + hook + "web.pre_start.1"},
		"no command":     {HookHint("shop", 2, "web", nil), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}
