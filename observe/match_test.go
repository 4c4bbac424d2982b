package observe_test

import (
	"testing"

	"rhumb"
	"rhumb/observe"
)

func TestDroppedLinesBelongToTheQueriesOfTheirService(t *testing.T) {
	for _, c := range []struct {
		q    rhumb.LogQuery
		want bool
	}{
		{rhumb.LogQuery{}, true},
		{rhumb.LogQuery{Stack: "shop", Services: []string{"db", "web"}, Release: 3}, true},
		{rhumb.LogQuery{Stack: "blog"}, false},
		{rhumb.LogQuery{Services: []string{"db"}}, false},
		{rhumb.LogQuery{Release: 2}, false},
	} {
		if got := observe.CountsDropped(c.q, "shop", "web", 3); got != c.want {
			t.Errorf("%+v: %t, want %t", c.q, got, c.want)
		}
	}
}
