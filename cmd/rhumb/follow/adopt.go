package follow

import (
	"context"
	"errors"
	"time"

	"rhumb"
)

// comeBack is how long a server that starts anew may take.
const comeBack = 15 * time.Second

// Adopt finds the deployment that by asked for and that began after the one of that ID, when the asking ended with an error. If there is none,
// the error stands.
func Adopt(ctx context.Context, s rhumb.History, stack, by string, after int64, err error) (rhumb.Deployment, error) {
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
		case lookErr == nil && d.ID > after && rhumb.MayBeBy(d.By, by):
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
