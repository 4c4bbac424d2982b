package rhumb_test

import (
	"testing"
	"time"

	"rhumb"
)

func TestASpanHasOneUnit(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": -time.Hour, "59s": time.Minute - 1, "1m": time.Minute, "59m": time.Hour - 1,
		"47h": 48*time.Hour - 1, "2d": 48 * time.Hour, "30d": 730 * time.Hour,
	} {
		if got := rhumb.Span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

func TestAnExactSpanLeavesNothingOut(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"0s": 0, "1.5s": 1500 * time.Millisecond, "1m30s": 90 * time.Second, "10m": 10 * time.Minute, "1h": time.Hour,
		"1h0m1s": time.Hour + time.Second, "1h30m": 90 * time.Minute, "36h": 36 * time.Hour, "30d": 720 * time.Hour,
	} {
		if got := rhumb.ExactSpan(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}
