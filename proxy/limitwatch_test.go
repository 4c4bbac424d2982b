package proxy

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestWhatLimitsBeginAndEndIsLoggedOnce(t *testing.T) {
	var out strings.Builder
	w := limitWatch{log: slog.New(slog.NewTextHandler(&out, nil))}
	look := func(st rhumb.LimitStats, want ...string) {
		t.Helper()
		out.Reset()
		w.look(map[string]*rhumb.LimitStats{"shop/web:80": &st})
		for _, words := range want {
			if !strings.Contains(out.String(), words) {
				t.Errorf("%+v: %q isn't in %q", st, words, out.String())
			}
		}
		if n := strings.Count(out.String(), "\n"); n != len(want) {
			t.Errorf("%+v: %d lines: %s", st, n, out.String())
		}
	}
	now := time.Now()
	look(rhumb.LimitStats{})
	look(rhumb.LimitStats{Refused: 1, Since: now}, `level=WARN msg="limits refuse" backend=shop/web:80`)
	look(rhumb.LimitStats{Refused: 9, Since: now})
	look(rhumb.LimitStats{Refused: 9}, `msg="limits refuse no more" backend=shop/web:80 refused=9`)
	look(rhumb.LimitStats{Refused: 9, Shared: "172.17.0.1"}, "address=172.17.0.1")
	look(rhumb.LimitStats{Refused: 9, Shared: "172.17.0.1"})
	look(rhumb.LimitStats{Refused: 9, Shared: "Cloudflare", Since: now}, "address=Cloudflare", `msg="limits refuse"`)
	look(rhumb.LimitStats{Refused: 9}, "clients share no address", "limits refuse no more")
	w.look(nil)
	look(rhumb.LimitStats{})
}
