package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rhumb"
)

// host is a machine whose files are in a folder, and whose commands only change state.
type host struct {
	Machine
	said  []string
	state map[string]bool // "group", "passwd", "active rhumb.service", ...
	fails string          // a command that fails
}

func newHost(t *testing.T) *host {
	h := &host{state: map[string]bool{}}
	h.Machine = Machine{Root: t.TempDir(), Command: h.command}
	return h
}

func (h *host) command(_ context.Context, args ...string) (string, error) {
	line := strings.Join(args, " ")
	answers := func(key string) (string, error) {
		switch {
		case h.state[key+" later"]:
			return "activating\n", errors.New("exit status 3")
		case h.state[key]:
			return "", nil
		}
		return "", errors.New("exit status 1")
	}
	last := args[len(args)-1]
	switch {
	case args[0] == "getent":
		return answers(args[1])
	case args[0] == "systemctl" && strings.HasPrefix(args[1], "is-"):
		return answers(args[1] + " " + last)
	}
	h.said = append(h.said, line)
	switch {
	case h.fails != "" && strings.HasPrefix(line, h.fails):
		return "Job failed.\n", errors.New("exit status 1")
	case args[0] == "groupadd":
		h.state["group"] = true
	case args[0] == "useradd":
		h.state["passwd"] = true
	case args[0] == "userdel":
		h.state["passwd"], h.state["group"] = false, false
	case args[0] == "systemctl" && args[1] == "enable":
		for _, unit := range args[2:] {
			h.state["is-enabled "+unit] = true
		}
	case args[0] == "systemctl" && (args[1] == "start" || args[1] == "restart"):
		h.state["is-active "+last] = true
		h.state["is-active "+last+" later"] = args[2] == "--no-block"
	case args[0] == "systemctl" && args[1] == "disable":
		h.state["is-enabled "+last], h.state["is-active "+last], h.state["is-active "+last+" later"] = false, false, false
	}
	return "", nil
}

// plan returns what is to be done, without the notes.
func (h *host) plan(t *testing.T, w Wanted) []Step {
	t.Helper()
	f, err := h.Look(t.Context(), w.Data)
	if err != nil {
		t.Fatal(err)
	}
	return Plan(w, f)
}

func (h *host) bring(t *testing.T, w Wanted) []string {
	t.Helper()
	steps := h.plan(t, w)
	h.said = nil
	if err := h.Perform(t.Context(), steps, func(Step) {}); err != nil {
		t.Fatal(err)
	}
	if again := h.plan(t, w); len(again) > 0 {
		t.Errorf("afterwards there is still to do:\n%s", Text(again))
	}
	return h.said
}

func wanted() Wanted {
	return Wanted{Binary: []byte("one"), Data: "/var/lib/rhumb", Settings: map[string]string{"RHUMB_HTTP": ":8080"},
		Completions: map[string][]byte{"bash": []byte("b"), "fish": []byte("f"), "zsh": []byte("z")}}
}

func TestAnInstallationIsCompleteAfterOnePlan(t *testing.T) {
	h := newHost(t)
	w := wanted()
	if said := h.bring(t, w); len(said) != 8 || said[6] != "systemctl start rhumb.service" {
		t.Errorf("it ran %q", said)
	}
	for path, mode := range map[string]os.FileMode{Binary: 0o755, Settings: 0o640, unitFolder + Daemon: 0o644,
		"/var/lib/rhumb": 0o700 | os.ModeDir} {
		info, err := os.Stat(filepath.Join(h.Root, path))
		if err != nil || info.Mode() != mode {
			t.Errorf("%s: %v %v, want %v", path, info, err, mode)
		}
	}
	swap := []string{"systemctl reload rhumb-proxy.service", "systemctl restart rhumb.service",
		"systemctl restart --no-block rhumb-observe.service"}
	w.Binary = []byte("two")
	if said := h.bring(t, w); !slices.Equal(said, swap) {
		t.Errorf("for another program it ran %q", said)
	}
	w.Settings = map[string]string{"RHUMB_KEEP_RELEASES": "3"}
	if said := h.bring(t, w); !slices.Equal(said, swap) {
		t.Errorf("for another setting it ran %q", said)
	}
	if b, _ := os.ReadFile(filepath.Join(h.Root, Settings)); !strings.Contains(string(b),
		"RHUMB_HTTP=:8080\nRHUMB_KEEP_RELEASES=3\n") {
		t.Errorf("the settings are\n%s", b)
	}
	w.Binary, w.Stopped = []byte("three"), true
	if said := h.bring(t, w); len(said) > 0 {
		t.Errorf("with --no-start it ran %q", said)
	}
}

func TestARemovalLeavesTheStateUnlessItIsPurged(t *testing.T) {
	h := newHost(t)
	w := wanted()
	h.bring(t, w)
	for _, purge := range []bool{false, true} {
		f, err := h.Look(t.Context(), w.Data)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Perform(t.Context(), PlanRemoval(f, purge, w.Data), func(Step) {}); err != nil {
			t.Fatal(err)
		}
		for path, stays := range map[string]bool{Binary: false, unitFolder + Proxy: false, unitFolder + Observe: false,
			Settings: !purge, w.Data: !purge,
			completions["zsh"]: false} {
			if _, err := os.Stat(filepath.Join(h.Root, path)); (err == nil) != stays {
				t.Errorf("purge %v: %s: %v", purge, path, err)
			}
		}
		if h.state["passwd"] == purge || h.state["is-enabled "+Daemon] || h.state["is-active "+Observe] {
			t.Errorf("purge %v: left are %v", purge, h.state)
		}
	}
}

func TestLogsAreKeptUnlessTheSettingsSayNo(t *testing.T) {
	h := newHost(t)
	w := wanted()
	w.Settings["RHUMB_OBSERVE"] = "off"
	if said := strings.Join(h.bring(t, w), "\n"); strings.Contains(said, Observe) {
		t.Errorf("it ran\n%s", said)
	}
	w.Settings = map[string]string{"RHUMB_OBSERVE": "external"}
	if said := h.bring(t, w); !slices.Contains(said, "systemctl enable "+Observe) || !h.state["is-active "+Observe] {
		t.Errorf("to keep them it ran %q", said)
	}
	w.Settings = map[string]string{"RHUMB_OBSERVE": "off"}
	if said := h.bring(t, w); !slices.Contains(said, "systemctl disable --now "+Observe) {
		t.Errorf("to stop it ran %q", said)
	}
	w.Settings, w.Binary = nil, []byte("two")
	if said := strings.Join(h.bring(t, w), "\n"); strings.Contains(said, Observe) {
		t.Errorf("an upgrade ran\n%s", said)
	}
	h.said = nil
	if err := h.Restart(t.Context()); err != nil || len(h.said) != 1 {
		t.Errorf("a restart: %v, and it ran %q", err, h.said)
	}
}

func TestARestartDoesNotFailIfLogsCannotBeKept(t *testing.T) {
	h := newHost(t)
	h.bring(t, wanted())
	h.said, h.fails = nil, "systemctl restart --no-block "+Observe
	if err := h.Restart(t.Context()); err != nil || len(h.said) != 2 {
		t.Errorf("got %v, and it ran %q", err, h.said)
	}
}

func TestTheUnitThatKeepsLogsWritesOnlyBelowItsFolder(t *testing.T) {
	for data, want := range map[string]string{
		"/var/lib/rhumb": "ReadWritePaths=-/var/lib/rhumb/observe\n",
		"/srv/my state%": "ReadWritePaths=-\"/srv/my state%%/observe\"\n",
		`/srv/"$a\`:      `ReadWritePaths=-"/srv/\"$$a\\/observe"` + "\n",
	} {
		unit := observeUnit(data)
		if !strings.Contains(unit, want) || !strings.Contains(unit, "ProtectSystem=strict\n") {
			t.Errorf("%s: the unit has no %s:\n%s", data, want, unit)
		}
	}
}

func TestAFailedCommandEndsTheInstallationWithAHint(t *testing.T) {
	h := newHost(t)
	h.fails = "systemctl start rhumb.service"
	f, err := h.Look(t.Context(), "/d")
	if err != nil {
		t.Fatal(err)
	}
	err = h.Perform(t.Context(), Plan(wanted(), f), func(Step) {})
	if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(err.Error(), "Job failed.") ||
		!strings.Contains(rhumb.ErrorHint(err), "journalctl -n 30 -u rhumb.service") {
		t.Errorf("got %v, %s", err, rhumb.ErrorHint(err))
	}
}

func TestProcessesStartedByACommandOutliveIt(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	// The process in the background writes to the same output, and must survive the command's end.
	if err := (ByCommand{Again: "(for i in $(seq 300); do sleep 0.1; [ -e " + file +
		" ] && break; done; echo more; echo on >" + file + ".2) & echo started"}).Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for ctx.Err() == nil {
		if _, err := os.Stat(file + ".2"); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the process in the background has died")
}

func TestACommandThatTakesTooLongIsKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err := ByCommand{Again: "sleep 60; echo"}.Restart(ctx)
	if rhumb.ErrorCode(err) != rhumb.Timeout || !strings.Contains(err.Error(), "sleep 60") {
		t.Errorf("got %v", err)
	}
}

func TestOtherSettingsStayAsTheyAre(t *testing.T) {
	old := "# mine\nRHUMB_HTTP=:80\nOTHER=\"a b\"\n; RHUMB_HTTP=no\nRHUMB_HTTP=:81"
	got := string(mergeSettings([]byte(old), map[string]string{"RHUMB_HTTP": ":8080", "RHUMB_NEW": `a "b" \ $c`}))
	want := "# mine\nRHUMB_HTTP=:8080\nOTHER=\"a b\"\n; RHUMB_HTTP=no\nRHUMB_NEW=\"a \\\"b\\\" \\\\ \\$c\"\n"
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	values := Values([]byte(got + "Q='x y'\n"))
	if values["RHUMB_HTTP"] != ":8080" || values["RHUMB_NEW"] != `a "b" \ $c` || values["OTHER"] != "a b" ||
		values["Q"] != "x y" || len(values) != 4 {
		t.Errorf("it reads as %q", values)
	}
}

func FuzzASettingSurvivesTheFile(f *testing.F) {
	f.Add("RHUMB_A", "b", "A=1\n")
	f.Add("RHUMB_A", `"'\`, "RHUMB_A=2\nRHUMB_A=3")
	f.Fuzz(func(t *testing.T, name, value, old string) {
		if strings.ContainsAny(name+value, "\n\r=\x00") || strings.TrimSpace(name) != name ||
			strings.TrimSpace(value) != value || name == "" || strings.ContainsAny(name[:1], "#;") {
			return
		}
		once := mergeSettings([]byte(old), map[string]string{name: value})
		if got := Values(once)[name]; got != value {
			t.Errorf("%q reads as %q from\n%s", value, got, once)
		}
		if twice := mergeSettings(once, map[string]string{name: value}); string(twice) != string(once) {
			t.Errorf("the second time it is\n%s\nafter\n%s", twice, once)
		}
	})
}

func TestAStepIsPrintedAsOneLine(t *testing.T) {
	for want, s := range map[string]Step{
		"make    /a (0700)  # why": {Kind: Folder, Path: "/a", Mode: 0o700, Note: "why"},
		"write   /a":               {Kind: Write, Path: "/a", Content: []byte("x")},
		"run     a b":              {Kind: Run, Args: []string{"a", "b"}},
	} {
		if got := fmt.Sprint(s); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
