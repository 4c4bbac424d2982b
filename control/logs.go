package control

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Logs merges what the replicas of the services wrote, by time. With Follow it goes on with replicas that come later.
func (c *Control) Logs(ctx context.Context, stack string, services []string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		replicas, err := c.logged(ctx, stack, services)
		if err != nil {
			yield(rhumb.LogLine{}, err)
			return
		}
		if !o.Follow {
			c.merge(ctx, replicas, o, yield)
			return
		}
		old := o
		old.Follow = false
		from := time.Now()
		old.Until = from // what comes later is followed
		if old.Tail >= 0 && !c.merge(ctx, replicas, old, yield) {
			return
		}
		c.follow(ctx, stack, services, from, yield)
	}
}

// logged lists the replicas of the services; all services if none is named.
func (c *Control) logged(ctx context.Context, stack string, services []string) ([]rhumb.Replica, error) {
	replicas, err := c.Engine.Replicas(ctx, stack)
	if err != nil {
		return nil, err
	}
	if len(replicas) == 0 {
		if _, _, err := c.currentModel(ctx, stack); err != nil {
			return nil, err
		}
	}
	for _, s := range services {
		if !slices.ContainsFunc(replicas, func(r rhumb.Replica) bool { return r.Service == s }) {
			if _, m, err := c.currentModel(ctx, stack); err != nil || m.Service(s) == nil {
				return nil, c.missingService(ctx, stack, s)
			}
		}
	}
	return slices.DeleteFunc(replicas, func(r rhumb.Replica) bool { return len(services) > 0 && !slices.Contains(services, r.Service) }), nil
}

// merge gives the lines that are there, by time. With a tail, the last n lines of each replica are read and the last
// n of them all are given.
func (c *Control) merge(ctx context.Context, replicas []rhumb.Replica, o rhumb.LogOptions, yield func(rhumb.LogLine, error) bool) bool {
	type source struct {
		next func() (rhumb.LogLine, error, bool)
		line rhumb.LogLine
	}
	var sources []*source
	for _, rep := range replicas {
		next, stop := iter.Pull2(c.Engine.Logs(ctx, rep.ID, o))
		defer stop()
		s := &source{next: next}
		line, err, ok := next()
		if err != nil {
			yield(rhumb.LogLine{}, err)
			return false
		}
		if ok {
			s.line = line
			sources = append(sources, s)
		}
	}
	var tail []rhumb.LogLine
	for len(sources) > 0 {
		s := slices.MinFunc(sources, func(a, b *source) int { return a.line.Time.Compare(b.line.Time) })
		if o.Tail > 0 {
			tail = append(tail, s.line)
		} else if !yield(s.line, nil) {
			return false
		}
		line, err, ok := s.next()
		if err != nil {
			yield(rhumb.LogLine{}, err)
			return false
		}
		s.line = line
		if !ok {
			sources = slices.DeleteFunc(sources, func(x *source) bool { return x == s })
		}
	}
	for _, l := range tail[max(0, len(tail)-max(o.Tail, 0)):] {
		if !yield(l, nil) {
			return false
		}
	}
	return true
}

// follow gives lines as they come, of replicas that are there and of those that come, until ctx ends.
func (c *Control) follow(ctx context.Context, stack string, services []string, from time.Time, yield func(rhumb.LogLine, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	lines := make(chan rhumb.LogLine)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	seen := map[string]bool{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		replicas, err := c.logged(ctx, stack, services)
		if err != nil && ctx.Err() == nil && rhumb.ErrorCode(err) != rhumb.Unavailable {
			yield(rhumb.LogLine{}, err)
			return
		}
		for _, rep := range replicas {
			if !seen[rep.ID] && (rep.Alive() || rep.Finished.After(from)) {
				seen[rep.ID] = true
				work.Go(func() { c.tailInto(ctx, rep.ID, from, lines) })
			}
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return
			case l := <-lines:
				if !yield(l, nil) {
					return
				}
			case <-tick.C:
				waiting = false
			}
		}
	}
}

func (c *Control) tailInto(ctx context.Context, id string, from time.Time, lines chan<- rhumb.LogLine) {
	for l, err := range c.Engine.Logs(ctx, id, rhumb.LogOptions{Follow: true, Since: from}) {
		if err != nil {
			return // the replica is gone, or the reader is
		}
		select {
		case lines <- l:
		case <-ctx.Done():
			return
		}
	}
}
