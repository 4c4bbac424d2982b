package control

import (
	"context"
	"iter"
	"net/netip"

	"rhumb"
)

// engine is an Engine whose optional capabilities can always be called. Where the engine lacks one, the call returns
// Unsupported.
type engine struct{ rhumb.Engine }

func lacking(what string) error { return rhumb.Errorf(rhumb.Unsupported, "this engine can't %s", what) }

// Probe implements rhumb.Prober.
func (e engine) Probe(ctx context.Context, id string, check rhumb.Healthcheck) error {
	if p, ok := e.Engine.(rhumb.Prober); ok {
		return p.Probe(ctx, id, check)
	}
	return lacking("run health checks inside replicas")
}

// SetHosts implements rhumb.HostsSetter.
func (e engine) SetHosts(ctx context.Context, id string, hosts map[string]string) error {
	if s, ok := e.Engine.(rhumb.HostsSetter); ok {
		return s.SetHosts(ctx, id, hosts)
	}
	return lacking("change the hosts files of running replicas")
}

// Logs implements rhumb.LogReader.
func (e engine) Logs(ctx context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	if r, ok := e.Engine.(rhumb.LogReader); ok {
		return r.Logs(ctx, id, o)
	}
	return func(yield func(rhumb.LogLine, error) bool) {
		yield(rhumb.LogLine{}, lacking("read what replicas wrote"))
	}
}

// Exec implements rhumb.CommandRunner.
func (e engine) Exec(ctx context.Context, id string, o rhumb.ExecOptions) (int, error) {
	if c, ok := e.Engine.(rhumb.CommandRunner); ok {
		return c.Exec(ctx, id, o)
	}
	return 0, lacking("run commands in replicas")
}

// Run implements rhumb.CommandRunner.
func (e engine) Run(ctx context.Context, spec rhumb.ReplicaSpec, s rhumb.Streams) (int, error) {
	if c, ok := e.Engine.(rhumb.CommandRunner); ok {
		return c.Run(ctx, spec, s)
	}
	return 0, lacking("run one-off replicas")
}

// Listening implements rhumb.Sockets.
func (e engine) Listening(ctx context.Context, id string) ([]netip.AddrPort, error) {
	if s, ok := e.Engine.(rhumb.Sockets); ok {
		return s.Listening(ctx, id)
	}
	return nil, lacking("look into the network of replicas")
}
