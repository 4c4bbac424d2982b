package control

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

func TestLogsAreMergedByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.engine.Behave("web", "", enginefake.Behaviour{Output: []string{"one", "two"}})
		b.engine.Behave("db", "", enginefake.Behaviour{Output: []string{"ready"}})
		b.deploy(shop("web:1"))
		all := b.lines(nil, rhumb.LogOptions{})
		if len(all) != 5 || !slices.IsSortedFunc(all, func(x, y rhumb.LogLine) int { return x.Time.Compare(y.Time) }) {
			t.Errorf("got %v", all)
		}
		if all[0].Service != "db" {
			t.Errorf("the database started first, and spoke first: %v", all)
		}
		if last := b.lines([]string{"web"}, rhumb.LogOptions{Tail: 3}); len(last) != 3 || last[2].Text != "two" ||
			last[2].Replica != "shop-web.1.2" {
			t.Errorf("the last three of web: %v", last)
		}
	})
}

func TestLogsOfAServiceThatIsNotThereNameThoseThatAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		for _, err := range b.Logs(context.Background(), "shop", []string{"wbe"}, rhumb.LogOptions{}) {
			if rhumb.ErrorCode(err) != rhumb.NotFound || !strings.Contains(rhumb.ErrorHint(err), "db, web") {
				t.Errorf("got %v, hint %q", err, rhumb.ErrorHint(err))
			}
		}
	})
}

func TestFollowedLogsGoOnWithTheNextRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		followed := make(chan []string, 1)
		go func() {
			var texts []string
			for l, err := range b.Logs(ctx, "shop", []string{"web"}, rhumb.LogOptions{Follow: true}) {
				if err != nil {
					t.Error(err)
				}
				texts = append(texts, l.Replica+" "+l.Text)
			}
			followed <- texts
		}()
		time.Sleep(time.Second) // the bubble's
		b.engine.Behave("web", "", enginefake.Behaviour{Output: []string{"hello"}})
		b.deploy(shop("web:2"))
		got := <-followed
		slices.Sort(got)
		if !slices.Equal(got, []string{"shop-web.2.1 hello", "shop-web.2.2 hello"}) {
			t.Errorf("got %q", got)
		}
	})
}

func TestExecRunsInAReadyReplicaAndReturnsItsCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.engine.Behave("web", "", enginefake.Behaviour{Exec: func(o rhumb.ExecOptions) int { return len(o.Command) }})
		b.deploy(shop("web:1"))
		code, err := b.Exec(context.Background(), "shop", "web", 2, rhumb.ExecOptions{Command: []string{"a", "b", "c"}})
		if code != 3 || err != nil {
			t.Errorf("got %d, %v", code, err)
		}
		if _, err := b.Exec(context.Background(), "shop", "web", 9,
			rhumb.ExecOptions{Command: []string{"a"}}); rhumb.ErrorCode(err) != rhumb.Unavailable {
			t.Errorf("a slot that isn't there: %v", err)
		}
		if _, err := b.Exec(context.Background(), "shop", "nope", 0,
			rhumb.ExecOptions{Command: []string{"a"}}); rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Errorf("a service that isn't there: %v", err)
		}
	})
}

func TestAOneOffIsInNoSlotAndLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.engine.Behave("web", "", enginefake.Behaviour{ExitCode: 5})
		b.deploy(shop("web:1"))
		code, err := b.Run(context.Background(), "shop", "web", rhumb.ExecOptions{Command: []string{"true"}})
		if code != 5 || err != nil {
			t.Errorf("got %d, %v", code, err)
		}
		b.wantReplicas("shop-db.1.1", "shop-web.1.1", "shop-web.1.2")
		b.wantRouted("shop-web.1.1", "shop-web.1.2")
	})
}

func TestImagesThatNoKeptReleaseUsesAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.care.Keep = 2
		b.engine.AddImage("web:1") // a person's own: it was here before
		for _, img := range []string{"web:1", "web:2", "web:3", "web:4"} {
			if img != "web:1" && b.engine.Has(enginefake.ImageID(img)) {
				t.Fatalf("%s is here before it was pulled", img)
			}
			b.deploy(shop(img))
		}
		b.eventually(func() bool { return !b.engine.Has(enginefake.ImageID("web:2")) })
		for _, img := range []string{"web:1", "web:3", "web:4", "postgres"} {
			if !b.engine.Has(enginefake.ImageID(img)) {
				t.Errorf("%s is gone", img)
			}
		}
	})
}

func TestAValueOfTheServerFillsAnExternalSecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		m := shop("web:1")
		m.Files = []rhumb.File{{Kind: rhumb.FileSecret, Name: "token", External: "shop_token"}}
		m.Services[1].Container.Mounts = []rhumb.Mount{{Type: rhumb.MountFile, Kind: rhumb.FileSecret,
			Source: "token", Target: "/run/secrets/token"}}
		_, err := b.Deploy(context.Background(), rhumb.DeployRequest{Model: m}, nil)
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(rhumb.ErrorHint(err),
			"rhumb secret create shop_token") {
			t.Fatalf("without it: %v", err)
		}
		for i, value := range []string{"one", "two"} {
			if err := b.SetValue(context.Background(), "shop_token", strings.NewReader(value)); err != nil {
				t.Fatal(err)
			}
			if d := b.deploy(m); d.Phase != rhumb.PhaseConverged || d.To != i+1 {
				t.Errorf("with %q: %s to %d", value, d.Phase, d.To)
			}
		}
		if err := b.RemoveValue(context.Background(), "shop_tokne"); rhumb.ErrorCode(err) != rhumb.NotFound {
			t.Errorf("forget another one: %v", err)
		}
		if err := b.RemoveValue(context.Background(), "shop_token"); err != nil {
			t.Errorf("forget it: %v", err)
		}
	})
}

// lines collects what Logs returns.
func (b *bed) lines(services []string, o rhumb.LogOptions) []rhumb.LogLine {
	b.t.Helper()
	var lines []rhumb.LogLine
	for l, err := range b.Logs(context.Background(), "shop", services, o) {
		if err != nil {
			b.t.Fatal(err)
		}
		lines = append(lines, l)
	}
	return lines
}

func TestNamesOfValuesAreThoseThatAComposeFileCanSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		for _, name := range []string{"a", "db/password", "shop_token.v2", "Größe", "two words",
			strings.Repeat("x", 255)} {
			if err := b.SetValue(context.Background(), name, strings.NewReader("v")); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
		for _, name := range []string{"", ".", "..", " a", "a\n", "a\x1b[2J", "a\x00b", "\x07", "a\u202eb", "\xff",
			strings.Repeat("x", 256)} {
			err := b.SetValue(context.Background(), name, strings.NewReader("v"))
			if rhumb.ErrorCode(err) != rhumb.Invalid || strings.ContainsAny(err.Error(), "\x1b\x07\x00\n") {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

func TestACommandThatTheEngineMayNotSurviveIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		long := strings.Repeat("x", 60_000)
		for name, o := range map[string]rhumb.ExecOptions{
			"one argument":    {Command: []string{"echo", long}},
			"many arguments":  {Command: slices.Repeat([]string{"words"}, 12_001)},
			"a variable":      {Command: []string{"env"}, Env: []string{"A=" + long}},
			"the entry point": {Command: []string{"x"}, Entrypoint: []string{long}},
		} {
			for call, run := range map[string]func() (int, error){
				"exec": func() (int, error) { return b.Exec(context.Background(), "shop", "web", 0, o) },
				"run":  func() (int, error) { return b.Run(context.Background(), "shop", "web", o) },
			} {
				if _, err := run(); rhumb.ErrorCode(err) != rhumb.Invalid || rhumb.ErrorHint(err) == "" {
					t.Errorf("%s, %s: %v", call, name, err)
				}
			}
		}
		if _, err := b.Exec(context.Background(), "shop", "web", 0,
			rhumb.ExecOptions{Command: []string{long[4:]}}); err != nil {
			t.Errorf("a command that is just short enough: %v", err)
		}
	})
}

func TestACommandRunsInTheReplicaThatStays(t *testing.T) {
	rep := func(id string, release, slot int, state rhumb.ReplicaState, ready bool, routed string) rhumb.ReplicaStatus {
		return rhumb.ReplicaStatus{Replica: rhumb.Replica{ID: id, Release: release, Slot: slot, State: state},
			Ready: ready, Routed: routed}
	}
	old, fresh := rep("old", 1, 1, rhumb.StateRunning, true, ""), rep("new", 2, 1, rhumb.StateRunning, true, "")
	starting, draining := rep("starting", 2, 1, rhumb.StateRunning, false, ""),
		rep("draining", 2, 1, rhumb.StateRunning, true, "draining")
	dead, second := rep("dead", 3, 1, rhumb.StateExited, false, ""),
		rep("second", 2, 2, rhumb.StateRunning, true, "active")
	for _, c := range []struct {
		slots []rhumb.ReplicaStatus
		slot  int
		want  string
	}{
		{nil, 0, ""},
		{[]rhumb.ReplicaStatus{dead}, 0, ""},
		{[]rhumb.ReplicaStatus{old, fresh}, 0, "new"},
		{[]rhumb.ReplicaStatus{fresh, old, dead}, 1, "new"},
		{[]rhumb.ReplicaStatus{old, starting}, 0, "old"},
		{[]rhumb.ReplicaStatus{draining, old}, 1, "old"},
		{[]rhumb.ReplicaStatus{starting}, 0, "starting"},
		{[]rhumb.ReplicaStatus{fresh, second}, 0, "new"},
		{[]rhumb.ReplicaStatus{fresh, second}, 2, "second"},
		{[]rhumb.ReplicaStatus{fresh, second}, 3, ""},
	} {
		if got := inside(c.slots, c.slot); got != c.want {
			t.Errorf("of %+v, slot %d: %q, want %q", c.slots, c.slot, got, c.want)
		}
	}
}
