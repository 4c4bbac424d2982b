package metrics

import (
	"context"
	"testing"
	"testing/synctest"

	"rhumb"
)

func TestFewQueriesAreEvaluatedAndFewWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns, release := newTurns(), make(chan struct{})
		entered, codes := make(chan struct{}, 200), make(chan rhumb.Code, 200)
		for range 100 {
			go func() {
				codes <- rhumb.ErrorCode(turns.take(t.Context(), func(ctx context.Context) error {
					entered <- struct{}{}
					select {
					case <-release:
						return nil
					case <-ctx.Done():
						return explain(ctx, ctx.Err())
					}
				}))
			}()
		}
		synctest.Wait()
		if len(entered) != maxQueries || len(codes) != 100-maxQueries-maxWaiting {
			t.Errorf("%d queries are evaluated, and %d were refused", len(entered), len(codes))
		}
		for len(codes) > 0 {
			if code := <-codes; code != rhumb.Unavailable {
				t.Errorf("one too many: %s", code)
			}
		}
		for range maxQueries + maxWaiting { // none is ever released
			if code := <-codes; code != rhumb.Timeout {
				t.Errorf("one that waits: %s", code)
			}
		}
		close(release)
		if err := turns.take(t.Context(), func(context.Context) error { return nil }); err != nil {
			t.Errorf("one after the others: %v", err)
		}
		if err := turns.take(t.Context(), func(context.Context) error { panic("a fault") }); err == nil {
			t.Error("a panic is no error")
		}
		if len(turns.free) != 0 || turns.waiting.Load() != 0 {
			t.Error("turns are lost")
		}
	})
}
