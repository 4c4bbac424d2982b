package change

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/follow"
	"rhumb/cmd/rhumb/view"
)

// begin requests a deployment and follows it. ask makes the request with the ID that it gets. If the connection breaks
// or the user interrupts during the request, begin finds out whether the deployment began anyway.
func begin(ctx context.Context, a *cli.App, s rhumb.Server, v view.Deployment, opts following, stack string,
	ask func(ctx context.Context, request string) (rhumb.Deployment, error)) error {
	before, err := s.Deployment(ctx, stack, 0)
	if err != nil && rhumb.ErrorCode(err) != rhumb.NotFound {
		v.Close()
		return err
	}
	if opts.waitLock > 0 && before.ID != 0 && !before.Phase.Ended() {
		v.Say(fmt.Sprintf("waiting for deployment %d of %s (%s, by %s, since %s)", before.ID, stack, before.Cause, before.By,
			before.Started.Local().Format(time.TimeOnly)))
	}
	request := rand.Text()
	d, err := ask(ctx, request)
	if err != nil {
		if d, err = follow.Adopt(ctx, s, stack, request, err); err != nil {
			v.Close()
			return err
		}
	}
	return conclude(ctx, a, s, d, v, opts)
}
