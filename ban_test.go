package rhumb_test

import (
	"testing"
	"time"

	"rhumb"
)

func TestEachFurtherBanLastsLongerUpToTheLongest(t *testing.T) {
	for _, c := range []struct {
		bans   rhumb.Bans
		before int
		want   time.Duration
	}{
		{rhumb.Bans{For: time.Minute}, 0, time.Minute},
		{rhumb.Bans{For: time.Minute}, 9, time.Minute},
		{rhumb.Bans{For: time.Minute, Grow: 1, Max: time.Hour}, 9, time.Minute},
		{rhumb.Bans{For: time.Minute, Grow: 2, Max: time.Hour}, 0, time.Minute},
		{rhumb.Bans{For: time.Minute, Grow: 2, Max: time.Hour}, 3, 8 * time.Minute},
		{rhumb.Bans{For: time.Minute, Grow: 2, Max: time.Hour}, 6, time.Hour},
		{rhumb.Bans{For: time.Minute, Grow: 2, Max: time.Hour}, 1 << 30, time.Hour},
		{rhumb.Bans{For: 2 * time.Hour, Grow: 2, Max: time.Hour}, 0, time.Hour},
		{rhumb.Bans{For: time.Minute, Grow: 1.5, Max: time.Hour}, 2, 135 * time.Second},
	} {
		if got := c.bans.Length(c.before); got != c.want {
			t.Errorf("%+v after %d bans: %s, want %s", c.bans, c.before, got, c.want)
		}
	}
}
