package install

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// world is a machine on which an upgrade runs. A program behaves as its version says; proxy and daemon take a second
// to change.
type world struct {
	placed, daemon, proxy string
	schema                int
	started               time.Time
	// by version: "crashes", "flaps", "loses a replica", "no reload", "no restart", "changes the schema"
	broken map[string]string
	did    []string
}

func (w *world) Place(_ context.Context, p Program) error {
	w.did = append(w.did, "place "+p.Version)
	w.placed = p.Version
	return nil
}

func (w *world) Reload(ctx context.Context) error {
	if w.broken[w.placed] == "no reload" {
		return errors.New("no reload")
	}
	if w.broken[w.placed] == "reload hangs" {
		<-ctx.Done()
		return ctx.Err()
	}
	w.did = append(w.did, "reload")
	w.proxy = w.placed
	return nil
}

func (w *world) Restart(ctx context.Context) error {
	if w.broken[w.placed] == "restart hangs" {
		<-ctx.Done()
		return ctx.Err()
	}
	if w.broken[w.placed] == "no restart" {
		return errors.New("no restart")
	}
	w.did = append(w.did, "restart")
	time.Sleep(time.Second)
	w.daemon, w.started = w.placed, time.Now()
	if strings.Contains(w.broken[w.placed], "schema") {
		w.schema++
	}
	return nil
}

func (w *world) Stop(context.Context) error {
	w.did = append(w.did, "stop")
	w.daemon = ""
	return nil
}

func (w *world) Info(context.Context) (rhumb.ServerInfo, error) {
	switch why := w.broken[w.daemon]; {
	case w.daemon == "", strings.Contains(why, "crashes"):
		return rhumb.ServerInfo{}, errors.New("no server answers")
	case why == "flaps":
		w.started = time.Now()
	}
	return rhumb.ServerInfo{Version: w.daemon, Started: w.started, Proxy: true}, nil
}

func (w *world) Stacks(context.Context) ([]rhumb.StackInfo, error) {
	ready := 2
	if w.broken[w.daemon] == "loses a replica" {
		ready = 1
	}
	return []rhumb.StackInfo{{Name: "shop", Services: []rhumb.ServiceStatus{{Name: "web", Replicas: 2, Ready: ready}}}},
		nil
}

func (w *world) Routes(context.Context) (rhumb.RouterStatus, error) {
	return rhumb.RouterStatus{Version: w.proxy}, nil
}

func (w *world) upgrade(ctx context.Context) (Result, error) {
	u := &Upgrade{Server: w, Services: w, Old: Program{Version: "v1", Schema: 1}, New: Program{Version: "v2", Schema: 1},
		Within:  time.Minute,
		Backup:  func(context.Context) error { w.did = append(w.did, "back up"); return nil },
		PutBack: func(context.Context) error { w.did = append(w.did, "put back"); w.schema = 1; return nil },
		Schema:  func(context.Context) (int, error) { return w.schema, nil },
		Tell:    func(string) {}}
	return u.Run(ctx)
}

func newWorld(broken string) *world {
	return &world{placed: "v1", daemon: "v1", proxy: "v1", schema: 1, started: time.Now(),
		broken: map[string]string{"v2": broken}}
}

func TestAnUpgradeEndsWithANewOrOldProgramThatIsWell(t *testing.T) {
	back := []string{"back up", "place v2", "reload", "restart", "place v1", "restart", "reload"}
	for broken, want := range map[string][]string{
		"":                {"back up", "place v2", "reload", "restart"},
		"crashes":         back,
		"flaps":           back,
		"loses a replica": back,
		"no reload":       {"back up", "place v2", "place v1", "restart", "reload"},
		"reload hangs":    {"back up", "place v2", "place v1", "restart", "reload"},
		"restart hangs":   {"back up", "place v2", "reload", "place v1", "restart", "reload"},
		"no restart":      {"back up", "place v2", "reload", "place v1", "restart", "reload"},
		"changes the schema, crashes": {"back up", "place v2", "reload", "restart", "place v1", "stop", "put back", "restart",
			"reload"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(broken)
			began := time.Now()
			result, err := w.upgrade(t.Context())
			version := "v1"
			if broken == "" {
				version = "v2"
			}
			if err != nil || result.Left != nil || (result.Failed == nil) != (broken == "") {
				t.Errorf("%s: %+v, %v", broken, result, err)
			}
			if !slices.Equal(w.did, want) || w.daemon != version || w.proxy != version || w.placed != version || w.schema != 1 {
				t.Errorf("%s: it did %q, and there is %+v", broken, w.did, w)
			}
			if took := time.Since(began); took > 70*time.Second {
				t.Errorf("%s: it took %s", broken, took)
			}
		})
	}
}

func TestAnUpgradeThatIsInterruptedGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("crashes")
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		result, err := w.upgrade(ctx)
		if err != nil || result.Failed == nil || result.Left != nil || w.daemon != "v1" || w.proxy != "v1" {
			t.Errorf("%+v, %v, and there is %+v", result, err, w)
		}
	})
}

func TestAFailureToGoBackIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld("crashes")
		for _, why := range []string{"no restart", "restart hangs"} {
			w.broken["v1"] = why
			if result, err := w.upgrade(t.Context()); err != nil || result.Failed == nil || result.Left == nil {
				t.Errorf("%s: %+v, %v", why, result, err)
			}
		}
	})
}

func TestADaemonIsWellIfItHasTheReplicasOfBefore(t *testing.T) {
	before := health{version: "v1", proxy: "v1", ready: map[string]int{"a/web": 2}, wanted: map[string]int{"a/web": 2}}
	for words, now := range map[string]health{
		"": {version: "v2", proxy: "v2", ready: map[string]int{"a/web": 2},
			wanted: map[string]int{"a/web": 2}},
		"the server is rhumb v1": {version: "v1"},
		"the proxy is rhumb v1":  {version: "v2", proxy: "v1"},
		"a/web is gone":          {version: "v2", proxy: "v2"},
		"a/web has 1 ready replicas": {version: "v2", proxy: "v2", ready: map[string]int{"a/web": 1},
			wanted: map[string]int{"a/web": 2}},
	} {
		err := now.well(before, "v2")
		if (err == nil) != (words == "") || err != nil && !strings.Contains(err.Error(), words) {
			t.Errorf("want %q, got %v", words, err)
		}
	}
	scaled := health{version: "v2", proxy: "v2", ready: map[string]int{"a/web": 1}, wanted: map[string]int{"a/web": 1}}
	if err := scaled.well(before, "v2"); err != nil {
		t.Errorf("after scaling down: %v", err)
	}
}
