package follow

import (
	"context"
	"errors"
	"slices"
	"time"

	"rhumb"
)

const (
	comeBack = 15 * time.Second // how long a restarting server may take
	recent   = 20               // among how many deployments Adopt looks: others may have begun since
)

// Adopt looks for the deployment that the request with this ID began although the request ended with err. If there is
// none, it returns err.
func Adopt(ctx context.Context, s rhumb.History, stack, request string, err error) (rhumb.Deployment, error) {
	stopped := errors.Is(err, context.Canceled)
	if !stopped && rhumb.ErrorCode(err) != rhumb.Unavailable {
		return rhumb.Deployment{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), comeBack)
	defer cancel()
	t := time.NewTicker(200 * time.Millisecond)
	defer t.Stop()
	for {
		list, lookErr := s.Deployments(ctx, stack, recent)
		mine := func(d rhumb.Deployment) bool { return d.Request == request }
		switch i := slices.IndexFunc(list, mine); {
		case lookErr == nil && i >= 0:
			return list[i], nil
		case lookErr == nil, stopped, rhumb.ErrorCode(lookErr) != rhumb.Unavailable:
			return rhumb.Deployment{}, err
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return rhumb.Deployment{}, err
		}
	}
}
