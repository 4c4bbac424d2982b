package follow

import (
	"context"
	"errors"
	"time"

	"rhumb"
)

// comeBack is how long a restarting server may take.
const comeBack = 15 * time.Second

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
		d, lookErr := s.Deployment(ctx, stack, 0)
		switch {
		case lookErr == nil && d.Request == request:
			return d, nil
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
