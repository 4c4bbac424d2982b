package follow

import (
	"context"
	"testing"
	"testing/synctest"

	"rhumb"
)

// past is a server that knows some deployments, and is away for the first few looks.
type past struct {
	rhumb.History
	list []rhumb.Deployment // newest first
	away int
}

func (p *past) Deployments(_ context.Context, _ string, limit int) ([]rhumb.Deployment, error) {
	if p.away > 0 {
		p.away--
		return nil, rhumb.Errorf(rhumb.Unavailable, "the server is away")
	}
	return p.list[:min(limit, len(p.list))], nil
}

func TestAClientAdoptsOnlyWhatItsRequestBegan(t *testing.T) {
	cut := rhumb.Errorf(rhumb.Unavailable, "the connection broke")
	refused := rhumb.Errorf(rhumb.Locked, "another deployment goes on")
	mine := rhumb.Deployment{ID: 7, By: "ada (root@laptop)", Request: "mine"}
	other := rhumb.Deployment{ID: 8, By: mine.By, Request: "other"}
	for name, c := range map[string]struct {
		past  past
		err   error
		adopt bool
	}{
		"its own":                          {past{list: []rhumb.Deployment{mine}}, cut, true},
		"its own, and another began since": {past{list: []rhumb.Deployment{other, mine}}, cut, true},
		"its own, interrupted":             {past{list: []rhumb.Deployment{mine}}, context.Canceled, true},
		"its own, the server restarts":     {past{list: []rhumb.Deployment{mine}, away: 20}, cut, true},
		"its own, the server stays away": {
			past{list: []rhumb.Deployment{mine}, away: 1000}, cut, false},
		"its own, interrupted, the server is away": {past{list: []rhumb.Deployment{mine}, away: 1}, context.Canceled, false},
		"refused": {past{list: []rhumb.Deployment{mine}}, refused, false},
		"the same user's, from another terminal": {
			past{list: []rhumb.Deployment{other}}, cut, false},
		"of an older client": {past{list: []rhumb.Deployment{{ID: 8, By: mine.By}}}, cut, false},
		"none":               {past{}, cut, false},
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
