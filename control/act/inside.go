package act

import (
	"context"
	"log/slog"
	"time"

	"rhumb"
	"rhumb/control/scene"
)

// Inside performs the steps by which the services of one stack find each other.
type Inside struct {
	scene.Inside
	engine Engine
	desk   Desk
	places chan struct{} // one for each hosts file that may be written at a time
	log    *slog.Logger
}

// maxHosts is how many hosts files of a stack are written at a time. After a restart of the daemon all of them are.
const maxHosts = 4

// address updates the service addresses in the routing table. It stores them first: callers keep an address that they
// have found, so a later daemon must not choose another one.
func (in *Inside) address(ctx context.Context, s *scene.Scene) error {
	want, edit, err := in.Propose(ctx, s, time.Now())
	if err != nil {
		return err
	}
	if err := in.Book.Keep(ctx, want); err != nil {
		return err
	}
	return in.desk.Edit(ctx, edit)
}

// name writes the names of services to a replica's hosts file. It returns no error if trying again can't help: the
// replica is gone, or the engine can't write hosts files.
func (in *Inside) name(ctx context.Context, s *scene.Scene, step rhumb.Step) error {
	rep, _ := s.Replica(step.Replica)
	svc, _ := s.Definition(rep)
	if svc == nil {
		return nil
	}
	select {
	case in.places <- struct{}{}:
		defer func() { <-in.places }()
	case <-ctx.Done():
		return ctx.Err()
	}
	names := s.Directory(s.Router.Table).Names(&svc.Container)
	err := in.engine.SetHosts(ctx, rep.ID, names)
	switch code := rhumb.ErrorCode(err); {
	case code == rhumb.Unsupported:
		in.log.Warn("hosts file not updated", "replica", rep.Name(), "err", err)
	case err != nil && code != rhumb.NotFound:
		return err
	}
	in.Names.Record(rep.ID, names)
	return nil
}
