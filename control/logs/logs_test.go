package logs

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

// written returns a Source of lines by replica, each at the second that its text says. "error" is an error.
func written(lines map[string]string) Source {
	return func(_ context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
		return func(yield func(rhumb.LogLine, error) bool) {
			list := strings.Fields(lines[id])
			if o.Tail > 0 {
				list = list[max(0, len(list)-o.Tail):]
			}
			for _, text := range list {
				if text == "error" {
					yield(rhumb.LogLine{}, rhumb.Errorf(rhumb.Unavailable, "the engine is away"))
					return
				}
				second, _ := strconv.Atoi(text)
				if !yield(rhumb.LogLine{Time: time.Unix(int64(second), 0), Text: text}, nil) {
					return
				}
			}
		}
	}
}

func TestLinesOfSeveralReplicasAreMergedByTime(t *testing.T) {
	for name, c := range map[string]struct {
		lines map[string]string
		tail  int
		most  int // lines that are wanted; 0: all
		want  string
		more  bool
	}{
		"all":           {map[string]string{"a": "1 4 5", "b": "2 3 6", "c": ""}, 0, 0, "1 2 3 4 5 6", true},
		"the last":      {map[string]string{"a": "1 4 5", "b": "2 3 6"}, 2, 0, "5 6", true},
		"more than all": {map[string]string{"a": "1", "b": "2"}, 9, 0, "1 2", true},
		"until enough":  {map[string]string{"a": "1 4", "b": "2 3"}, 0, 2, "1 2", false},
		"an error":      {map[string]string{"a": "1 error", "b": "2 3"}, 0, 0, "1 error", false},
		"a first error": {map[string]string{"a": "1", "b": "error"}, 5, 0, "error", false},
	} {
		var replicas []rhumb.Replica
		for _, id := range slices.Sorted(maps.Keys(c.lines)) {
			replicas = append(replicas, rhumb.Replica{ID: id})
		}
		var got []string
		o := rhumb.LogOptions{Tail: c.tail}
		more := Merge(t.Context(), written(c.lines), replicas, o, func(l rhumb.LogLine, err error) bool {
			if err != nil {
				l.Text = "error"
			}
			got = append(got, l.Text)
			return len(got) != c.most
		})
		if strings.Join(got, " ") != c.want || more != c.more {
			t.Errorf("%s: got %q and %v", name, got, more)
		}
	}
}

func TestFollowContinuesOnceTheEngineIsBack(t *testing.T) {
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
