package follow

import (
	"context"
	"testing"
	"testing/synctest"

	"rhumb"
)

// past is a server that knows one last deployment, and is away for the first few looks.
type past struct {
	rhumb.History
	last rhumb.Deployment
	err  error
	away int
}

func (p *past) Deployment(context.Context, string, int64) (rhumb.Deployment, error) {
	if p.away > 0 {
		p.away--
		return rhumb.Deployment{}, rhumb.Errorf(rhumb.Unavailable, "the server is away")
	}
	return p.last, p.err
}

func TestAClientAdoptsOnlyWhatItsRequestBegan(t *testing.T) {
	cut := rhumb.Errorf(rhumb.Unavailable, "the connection broke")
	refused := rhumb.Errorf(rhumb.Locked, "another deployment goes on")
	mine := rhumb.Deployment{ID: 7, By: "ada (root@laptop)", Request: "mine"}
	for name, c := range map[string]struct {
		past  past
		err   error
		adopt bool
	}{
		"its own":                      {past{last: mine}, cut, true},
		"its own, interrupted":         {past{last: mine}, context.Canceled, true},
		"its own, the server restarts": {past{last: mine, away: 20}, cut, true},
		"its own, the server stays away": {
			past{last: mine, away: 1000}, cut, false},
		"its own, interrupted, the server is away": {past{last: mine, away: 1}, context.Canceled, false},
		"refused": {past{last: mine}, refused, false},
		"the same user's, from another terminal": {
			past{last: rhumb.Deployment{ID: 8, By: mine.By, Request: "other"}}, cut, false},
		"of an older client": {past{last: rhumb.Deployment{ID: 8, By: mine.By}}, cut, false},
		"none":               {past{err: rhumb.Errorf(rhumb.NotFound, "no deployment")}, cut, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, err := Adopt(t.Context(), &c.past, "shop", "mine", c.err)
				if adopted := err == nil; adopted != c.adopt || adopted && d.ID != mine.ID || !adopted && err != c.err {
					t.Errorf("got deployment %d and %v", d.ID, err)
				}
			})
		})
	}
}
