package change

import (
	"context"
	"fmt"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/cli"
	"rhumb/cmd/rhumb/follow"
	"rhumb/cmd/rhumb/view"
)

// begin requests a deployment and follows it. If the connection breaks or the user interrupts during the request, begin
// finds out whether the deployment began anyway.
func begin(ctx context.Context, a *cli.App, s rhumb.Server, v view.Deployment, opts following, stack string,
	ask func(context.Context) (rhumb.Deployment, error)) error {
	before, err := s.Deployment(ctx, stack, 0)
	if err != nil && rhumb.ErrorCode(err) != rhumb.NotFound {
		v.Close()
		return err
	}
	if opts.waitLock > 0 && before.ID != 0 && !before.Phase.Ended() {
		v.Say(fmt.Sprintf("waiting for deployment %d of %s (%s, by %s, since %s)", before.ID, stack, before.Cause, before.By,
			before.Started.Local().Format(time.TimeOnly)))
	}
	d, err := ask(ctx)
	if err != nil {
		if d, err = follow.Adopt(ctx, s, stack, userAtHost(), before.ID, err); err != nil {
			v.Close()
			return err
		}
	}
	return conclude(ctx, a, s, d, v, opts)
}
