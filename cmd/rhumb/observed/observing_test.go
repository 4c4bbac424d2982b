package observed

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"rhumb"
)

func TestWhatStacksAskForOutlivesTheProcess(t *testing.T) {
	dir, got, sets := t.TempDir(), map[string]rhumb.Observing{}, 0
	set := func(stack string, o rhumb.Observing) {
		got[stack] = o
		sets++
	}
	os1, err := openObserving(dir, set)
	if err != nil {
		t.Fatal(err)
	}
	small := rhumb.Observing{Logs: rhumb.LogLimits{Size: 1 << 20}}
	full := func() rhumb.Observing {
		return rhumb.Observing{Logs: rhumb.LogLimits{Keep: 90 * 24 * time.Hour},
			Scrapes: map[string]rhumb.Scrape{"web": {Port: 9090, Path: "/metrics", Every: 15 * time.Second}},
			Rules:   []rhumb.AlertRule{{Name: "Slow", Expr: "a > 1", Severity: rhumb.SeverityWarning, For: time.Minute}}}
	}
	for _, changed := range []map[string]rhumb.Observing{{"shop": small, "blog": small}, {"shop": full()},
		{"shop": full()}} {
		if err := os1.change(changed); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]rhumb.Observing{"shop": full(), "blog": small}
	if !reflect.DeepEqual(got, want) || sets != 3 {
		t.Errorf("%d times set are %v, want %v", sets, got, want)
	}
	clear(got)
	if _, err := openObserving(dir, set); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart: %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "observing.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openObserving(dir, set); rhumb.ErrorCode(err) != rhumb.Unavailable || rhumb.ErrorHint(err) == "" {
		t.Errorf("a damaged file: %v", err)
	}
}

func TestTheLimitsOfAnOlderVersionAreTakenOver(t *testing.T) {
	dir, got := t.TempDir(), map[string]rhumb.Observing{}
	set := func(stack string, o rhumb.Observing) { got[stack] = o }
	if err := os.WriteFile(filepath.Join(dir, "limits.json"), []byte(`{"shop":{"Keep":1,"Size":2}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	kept, err := openObserving(dir, set)
	if err != nil || got["shop"].Logs != (rhumb.LogLimits{Keep: 1, Size: 2}) {
		t.Fatalf("set is %v, %v", got, err)
	}
	if err := kept.change(map[string]rhumb.Observing{"shop": {}}); err != nil {
		t.Fatal(err)
	}
	if _, err := openObserving(dir, set); err != nil || got["shop"].Logs != (rhumb.LogLimits{}) {
		t.Errorf("the old limits come back: %v, %v", got, err)
	}
}
