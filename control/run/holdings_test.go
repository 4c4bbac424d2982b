package run

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
)

func TestHoldingsThatMayBeOlderThanAChangeAreNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h holdings
		asked := 0
		list := func(context.Context, string) (rhumb.Holdings, error) {
			asked++
			names := []string{"shop_default"}
			time.Sleep(time.Second)
			return rhumb.Holdings{Networks: names[:min(asked, 1)]}, nil
		}
		go func() { time.Sleep(time.Second / 2); h.forget() }() // a network is removed while they are listed
		for range 3 {
			if got, err := h.look(t.Context(), "shop", list); err != nil ||
				!slices.Equal(got.Networks, []string{"shop_default"}) {
				t.Errorf("%+v, %v", got, err)
			}
		}
		if asked != 2 {
			t.Errorf("listed %d times in three looks, want 2", asked)
		}
		time.Sleep(LookEvery)
		if _, err := h.look(t.Context(), "shop", list); err != nil || asked != 3 {
			t.Errorf("listed %d times, want 3; %v", asked, err)
		}
	})
}

func TestAChangeIsNotedWhileHoldingsAreListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h holdings
		go func() {
			_, _ = h.look(t.Context(), "shop", func(context.Context, string) (rhumb.Holdings, error) {
				time.Sleep(time.Minute) // the engine is slow
				return rhumb.Holdings{}, nil
			})
		}()
		synctest.Wait()
		began := time.Now()
		if h.forget(); time.Since(began) > 0 {
			t.Errorf("it waited %s for the engine", time.Since(began))
		}
		time.Sleep(time.Minute)
	})
}
