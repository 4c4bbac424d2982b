package logs

import (
	"context"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestLinesAreFollowedAcrossAnEngineThatGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, reads := time.Now(), 0
		at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
		written := []rhumb.LogLine{{Time: at(1), Text: "one"}, {Time: at(3), Text: "two"}, {Time: at(7), Text: "three"}}
		// The engine is away from the 4th second to the 6th.
		source := func(ctx context.Context, _ string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
			reads++
			return func(yield func(rhumb.LogLine, error) bool) {
				for _, l := range written {
					if l.Time.Before(o.Since) {
						continue
					}
					if time.Now().Before(at(6)) && l.Time.After(at(4)) {
						time.Sleep(time.Until(at(4)))
						yield(rhumb.LogLine{}, rhumb.Errorf(rhumb.Unavailable, "the engine is away"))
						return
					}
					time.Sleep(time.Until(l.Time))
					if !yield(l, nil) {
						return
					}
				}
			}
		}
		list := func(context.Context) ([]rhumb.Replica, error) {
			return []rhumb.Replica{{ID: "a", State: rhumb.StateRunning}}, nil
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		var got []string
		Follow(ctx, source, list, began, func(l rhumb.LogLine, err error) bool {
			got = append(got, l.Text)
			return err == nil
		})
		if !slices.Equal(got, []string{"one", "two", "three"}) || reads > 5 {
			t.Errorf("%q in %d reads", got, reads)
		}
	})
}
