package observed

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rhumb"
)

func TestLimitsOutliveTheProcess(t *testing.T) {
	dir, got := t.TempDir(), map[string]rhumb.LogLimits{}
	set := func(stack string, l rhumb.LogLimits) { got[stack] = l }
	ls, err := openLimits(dir, set)
	if err != nil {
		t.Fatal(err)
	}
	long, small := rhumb.LogLimits{Keep: 90 * 24 * time.Hour}, rhumb.LogLimits{Size: 1 << 20}
	for _, changed := range []map[string]rhumb.LogLimits{{"shop": small, "blog": small}, {"shop": long}, {"shop": long}} {
		if err := ls.change(changed); err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]rhumb.LogLimits{"shop": long, "blog": small}
	if !maps.Equal(got, want) {
		t.Errorf("set are %v, want %v", got, want)
	}
	clear(got)
	if _, err := openLimits(dir, set); err != nil || !maps.Equal(got, want) {
		t.Errorf("after a restart: %v, %v", got, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "limits.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openLimits(dir, set); rhumb.ErrorCode(err) != rhumb.Unavailable || rhumb.ErrorHint(err) == "" {
		t.Errorf("a damaged file: %v", err)
	}
}
