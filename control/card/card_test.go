package card

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"rhumb"
)

func TestOfALongOutputTheEndIsKept(t *testing.T) {
	var out Tail
	for i := range 10_000 {
		fmt.Fprintf(&out, "line %d\n", i)
	}
	got := out.lines()
	if len(got) != HookLines || got[HookLines-1] != "line 9999" || out.b.Len() > 2*maxHookOutput+20 {
		t.Errorf("%d lines, the last %q, %d bytes kept", len(got), got[len(got)-1], out.b.Len())
	}
	if len(Ending(got)) != Lines || len(Ending(got[:3])) != 3 {
		t.Error("a card holds other lines")
	}
}

func TestALineIsBoundedAndText(t *testing.T) {
	got := Line(strings.Repeat("ä\xff", lineMax))
	if len(got) > lineMax+10 || !utf8.ValidString(got) {
		t.Errorf("%d bytes", len(got))
	}
}

func TestADeploymentKeepsSomeHooksAndOfThemTheLoudFew(t *testing.T) {
	var d rhumb.Deployment
	for range maxHookRuns + 5 {
		KeepHook(&d, rhumb.HookRun{Logs: []string{"x"}})
	}
	if len(d.Hooks) != maxHookRuns || d.Hooks[maxLoudHooks-1].Logs == nil || d.Hooks[maxLoudHooks].Logs != nil {
		t.Errorf("%d are kept", len(d.Hooks))
	}
}

func TestACardShowsWhichWordsACheckHas(t *testing.T) {
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
		svc := &rhumb.Service{Ready: rhumb.Ready{Kind: rhumb.ReadyHealth}, Container: rhumb.Container{Health: &rhumb.Healthcheck{Test: c.test}}}
		got := Hint(rhumb.Replica{Stack: "shop", Service: "web", Release: 2, State: rhumb.StateRunning}, svc)
		if want := "its health check is: " + c.want + "; start it by hand: rhumb run -p shop --release 2 web"; got != want {
			t.Errorf("%q: %s, want %s", c.test, got, want)
		}
	}
}

func TestAHintIsACommandThatWorksAsItIsPrinted(t *testing.T) {
	exited := rhumb.Replica{Stack: "shop", Service: "web", Release: 2, Slot: 1, State: rhumb.StateExited, ExitCode: 3}
	sick := exited
	sick.State = rhumb.StateRunning
	checked := func(test ...string) *rhumb.Service {
		return &rhumb.Service{Ready: rhumb.Ready{Kind: rhumb.ReadyHealth}, Container: rhumb.Container{Health: &rhumb.Healthcheck{Test: test}}}
	}
	const start = "start it by hand: rhumb run -p shop --release 2 web"
	for name, c := range map[string]struct{ got, want string }{
		"exited":         {Hint(exited, &rhumb.Service{}), "look at the lines above; " + start},
		"shares":         {Hint(exited, &rhumb.Service{Container: rhumb.Container{NetworkMode: "service:db"}}), "look at the lines above"},
		"unknown":        {Hint(exited, nil), "look at the lines above"},
		"words":          {Hint(sick, checked("CMD", "app probe /health", "-q")), "its health check is: 'app probe /health' -q; " + start},
		"shell":          {Hint(sick, checked("CMD-SHELL", `test "$A" = it's`)), `its health check is: sh -c 'test "$A" = it'\''s'; ` + start},
		"hook":           {HookHint("shop", 2, "web", []string{"sh", "-c", "true `x`"}), "look at the lines above; run it by hand: rhumb run -p shop --release 2 web sh -c 'true `x`'"},
		"hook's service": {HookHint("shop", 2, "web.pre_start.1", nil), "look at the lines above; run it by hand: rhumb run -p shop --release 2 web.pre_start.1"},
		"no command":     {HookHint("shop", 2, "web", nil), ""},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}
