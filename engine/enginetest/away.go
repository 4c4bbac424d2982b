package enginetest

import (
	"context"
	"maps"

	"rhumb"
)

// awayTests call an engine that can't be reached.
var awayTests = map[string]func(*bench){
	"an engine that is away is unavailable to every call": func(b *bench) {
		e := b.o.Away(b.T)
		calls := map[string]func(ctx context.Context) error{
			"Info":          func(ctx context.Context) error { _, err := e.Info(ctx); return err },
			"EnsureNetwork": func(ctx context.Context) error { return e.EnsureNetwork(ctx, b.stack, rhumb.Network{Name: "n"}) },
			"EnsureVolume":  func(ctx context.Context) error { return e.EnsureVolume(ctx, b.stack, rhumb.Volume{Name: "v"}) },
			"RemoveNetwork": func(ctx context.Context) error { return e.RemoveNetwork(ctx, b.stack, "n") },
			"RemoveVolume":  func(ctx context.Context) error { return e.RemoveVolume(ctx, b.stack, "v") },
			"Holdings":      func(ctx context.Context) error { _, err := e.Holdings(ctx, b.stack); return err },
			"Replicas":      func(ctx context.Context) error { _, err := e.Replicas(ctx, b.stack); return err },
			"Start":         func(ctx context.Context) error { _, err := e.Start(ctx, b.spec("web")); return err },
			"Stop":          func(ctx context.Context) error { return e.Stop(ctx, "x") },
			"Remove":        func(ctx context.Context) error { return e.Remove(ctx, "x") },
			"Watch":         func(ctx context.Context) error { _, err := e.Watch(ctx); return err },
		}
		maps.Copy(calls, optional(e, b))
		for name, call := range calls {
			if err := call(b.ctx()); rhumb.ErrorCode(err) != rhumb.Unavailable || rhumb.ErrorHint(err) == "" {
				b.Errorf("%s: %q (%v), want unavailable with a hint", name, rhumb.ErrorCode(err), err)
			}
		}
	},
}

// optional returns a call of each method of the capabilities that an engine offers.
func optional(e rhumb.Engine, b *bench) map[string]func(ctx context.Context) error {
	calls := map[string]func(ctx context.Context) error{}
	if e, ok := e.(rhumb.HostsSetter); ok {
		calls["SetHosts"] = func(ctx context.Context) error { return e.SetHosts(ctx, "x", nil) }
	}
	if e, ok := e.(rhumb.Prober); ok {
		calls["Probe"] = func(ctx context.Context) error {
			return e.Probe(ctx, "x", rhumb.Healthcheck{Test: []string{"CMD", "true"}})
		}
	}
	if e, ok := e.(rhumb.CommandRunner); ok {
		calls["Exec"] = func(ctx context.Context) error {
			_, err := e.Exec(ctx, "x", rhumb.ExecOptions{Command: []string{"true"}})
			return err
		}
		calls["Run"] = func(ctx context.Context) error { _, err := e.Run(ctx, b.spec("web"), rhumb.Streams{}); return err }
	}
	if e, ok := e.(rhumb.LogReader); ok {
		calls["Logs"] = func(ctx context.Context) error {
			for _, err := range e.Logs(ctx, "x", rhumb.LogOptions{}) {
				return err
			}
			return nil
		}
	}
	if e, ok := e.(rhumb.Processes); ok {
		calls["Process"] = func(ctx context.Context) error { _, err := e.Process(ctx, "x"); return err }
	}
	if images, ok := e.(rhumb.Images); ok {
		calls["Resolve"] = func(ctx context.Context) error {
			_, err := images.Resolve(ctx, rhumb.ImageRequest{Ref: "x"}, nil)
			return err
		}
		calls["Sweep"] = func(ctx context.Context) error { _, err := images.Sweep(ctx, nil, 0); return err }
		calls["Keep"] = func(ctx context.Context) error { return images.Keep(ctx, b.stack, "web", 1, "x") }
		calls["Release"] = func(ctx context.Context) error { return images.Release(ctx, b.stack, "web", 1, true) }
	}
	return calls
}
