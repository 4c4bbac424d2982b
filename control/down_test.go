package control

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/engine/enginefake"
)

func TestDownLeavesNothingAndVolumesOnlyWhenAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBed(t)
		b.deploy(shop("web:1"))
		d, err := b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown})
		if err != nil {
			t.Fatal(err)
		}
		b.ends(d)
		b.wantReplicas()
		st, _ := b.router.Status(context.Background())
		if held, _ := b.engine.Holdings(context.Background(), "shop"); len(held.Networks) != 0 ||
			len(held.Volumes) != 1 || len(st.Table.Listeners) != 0 {
			t.Fatalf("held %+v, table %+v", held, st.Table)
		}
		d, err = b.Change(context.Background(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown,
			Volumes: true})
		if err != nil {
			t.Fatal(err)
		}
		b.ends(d)
		if held, _ := b.engine.Holdings(context.Background(), "shop"); len(held.Volumes) != 0 {
			t.Fatalf("held %+v", held)
		}
		if d = b.deploy(shop("web:1")); d.To != 2 {
			t.Fatalf("numbers go on: got %d", d.To)
		}
	})
}

func TestVolumesThatAreLeftAreNamedAndCanBeRemoved(t *testing.T) {
	for name, leave := range map[string]func(*bed) rhumb.Deployment{
		"after a first deployment that failed": func(b *bed) rhumb.Deployment {
			b.engine.Behave("web", "web:1", enginefake.Behaviour{ExitAfter: time.Microsecond, ExitCode: 1})
			m := shop("web:1")
			m.Services[1].Ready.Timeout = time.Minute
			return b.deploy(m)
		},
		"after a down": func(b *bed) rhumb.Deployment {
			b.deploy(shop("web:1"))
			return b.change(rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBed(t)
				left := leave(b)
				if v := left.Verdict(); !strings.Contains(v.Text,
					"is left but the volume shop_db (rhumb down -p shop --volumes removes it)") {
					t.Errorf("the verdict: %s", v.Text)
				}
				d := b.change(rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown, Volumes: true})
				if v := d.Verdict(); v.Exit != rhumb.ExitConverged || v.Text != "shop is down" {
					t.Errorf("after down --volumes: %+v", v)
				}
				if held, err := b.engine.Holdings(t.Context(), "shop"); err != nil || len(held.Volumes) != 0 {
					t.Errorf("held %+v, %v", held, err)
				}
				_, err := b.Change(t.Context(), rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown,
					Volumes: true})
				if rhumb.ErrorCode(err) != rhumb.NotFound {
					t.Errorf("once more: %v", err)
				}
			})
		})
	}
}
