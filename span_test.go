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
