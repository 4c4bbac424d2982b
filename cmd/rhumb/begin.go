package main

import (
	"context"
	"errors"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/view"
)

// begin asks for a deployment and follows it. When the connection broke or the user stopped while the server was asked, it
// finds out whether the deployment began all the same.
func (a *app) begin(ctx context.Context, s rhumb.Server, v view.Deployment, opts following, stack string, ask func(context.Context) (rhumb.Deployment, error)) error {
	before, err := s.Deployment(ctx, stack, 0)
	if err != nil && rhumb.ErrorCode(err) != rhumb.NotFound {
		v.Close()
		return err
	}
	d, err := ask(ctx)
	if err != nil {
		if d, err = adopt(ctx, s, stack, before.ID, err); err != nil {
			v.Close()
			return err
		}
	}
	return a.conclude(ctx, s, d, v, opts)
}

// comeBack is how long a server that starts anew may take.
const comeBack = 15 * time.Second

// adopt finds the deployment of ours that began after the one of that ID. If there is none, the error stands.
func adopt(ctx context.Context, s rhumb.Deployer, stack string, after int64, err error) (rhumb.Deployment, error) {
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
		case lookErr == nil && d.ID > after && d.By == who():
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
