package pause

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestItWaitsUnlessTheContextEndsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if !For(t.Context(), time.Minute) || time.Since(start) != time.Minute {
			t.Errorf("back after %s", time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start = time.Now()
		if For(ctx, time.Minute) || time.Since(start) != time.Second {
			t.Errorf("the context ended, and it was back after %s", time.Since(start))
		}
		if For(ctx, 0) {
			t.Error("a context that has ended goes on")
		}
	})
}
