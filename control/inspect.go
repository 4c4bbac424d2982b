package control

import (
	"context"
	"iter"
	"runtime"
	"time"

	"rhumb"
	"rhumb/control/status"
	"rhumb/rollout/diff"
)

// Info describes the daemon, its engine and its proxy.
func (c inspector) Info(ctx context.Context) (rhumb.ServerInfo, error) {
	info := rhumb.ServerInfo{Version: c.Version, Started: c.started, Data: c.Data, Goroutines: runtime.NumGoroutine()}
	var err error
	if info.Engine, err = c.Engine.Info(ctx); err != nil {
		return info, err
	}
	_, err = c.desk.Status(ctx)
	info.Proxy = err == nil
	return info, nil
}

// Stacks lists the stacks with their services.
func (c inspector) Stacks(ctx context.Context) ([]rhumb.StackInfo, error) {
	states, err := c.Store.Stacks(ctx)
	if err != nil {
		return nil, err
	}
	infos := []rhumb.StackInfo{}
	for _, s := range states {
		info, err := c.status(ctx, s)
		if err != nil {
			return nil, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

// Status returns how a stack stands; NotFound if it isn't deployed. It changes nothing, and starts no runner.
func (c inspector) Status(ctx context.Context, stack string) (rhumb.StackInfo, error) {
	state, err := c.Store.StackState(ctx, stack)
	if err != nil {
		return rhumb.StackInfo{}, err
	}
	if state.Current == 0 && state.Open == 0 {
		return rhumb.StackInfo{}, notDeployed(stack)
	}
	return c.status(ctx, state)
}

// status reads how a stack stands.
func (c inspector) status(ctx context.Context, s rhumb.StackState) (rhumb.StackInfo, error) {
	info := rhumb.StackInfo{Name: s.Name, Release: s.Current}
	d, err := c.Store.Deployment(ctx, s.Name, s.Open)
	if err == nil {
		info.Deployment = &d
	} else if rhumb.ErrorCode(err) != rhumb.NotFound {
		return info, err
	}
	src := c.sources
	src.Holdings = nil // they cost the engine more than the replicas, and a status doesn't show them
	g, err := src.Wanted(ctx, s.Name)
	if err != nil {
		return info, err
	}
	if err := src.Look(ctx, g); err != nil {
		return info, err
	}
	now := time.Now()
	g.Learn(c.stacks.Memory(s.Name), now)
	info.Services = status.Services(g, now)
	return info, nil
}

// Events lists stored events, oldest first, and with Follow those that come later.
func (c inspector) Events(ctx context.Context, f rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return c.events.Events(ctx, f)
}

// Deployment returns a deployment; the stack's last one if id is 0.
func (c inspector) Deployment(ctx context.Context, stack string, id int64) (rhumb.Deployment, error) {
	return c.Store.Deployment(ctx, stack, id)
}

// Deployments lists a stack's deployments, newest first, at most limit (0: all).
func (c inspector) Deployments(ctx context.Context, stack string, limit int) ([]rhumb.Deployment, error) {
	return c.Store.Deployments(ctx, stack, limit)
}

// Releases lists a stack's releases, newest first.
func (c inspector) Releases(ctx context.Context, stack string) ([]rhumb.ReleaseInfo, error) {
	list, err := c.Store.Releases(ctx, stack)
	if err == nil && len(list) == 0 {
		return nil, notDeployed(stack)
	}
	return list, err
}

// Diff returns how release b differs from release a.
func (c inspector) Diff(ctx context.Context, stack string, a, b int) ([]rhumb.Difference, error) {
	ra, err := c.Store.Release(ctx, stack, a)
	if err != nil {
		return nil, err
	}
	rb, err := c.Store.Release(ctx, stack, b)
	if err != nil {
		return nil, err
	}
	return diff.Stacks(&ra.Model, &rb.Model), nil
}

// Routes returns what the proxy serves.
func (c inspector) Routes(ctx context.Context) (rhumb.RouterStatus, error) { return c.desk.Status(ctx) }

// Certificates returns the state of all hosts' certificates.
func (c inspector) Certificates(ctx context.Context) ([]rhumb.CertificateStatus, error) {
	st, err := c.desk.Status(ctx)
	if err != nil {
		return nil, err
	}
	if st.Certificates == nil {
		return []rhumb.CertificateStatus{}, nil
	}
	return st.Certificates, nil
}

// RootCertificate returns the internal authority's certificate; NotFound if the server has no such authority.
func (c inspector) RootCertificate(ctx context.Context) (string, error) {
	if c.Deps.Certificates == nil {
		return "", rhumb.Errorf(rhumb.NotFound, "this server has no authority of its own")
	}
	return c.Deps.Certificates.Root(ctx)
}
