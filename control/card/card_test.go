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
		got := Hint(rhumb.Replica{Service: "web", State: rhumb.StateRunning}, svc)
		if want := "try the check by hand: rhumb exec web " + c.want; got != want {
			t.Errorf("%q: %s, want %s", c.test, got, want)
		}
	}
}
