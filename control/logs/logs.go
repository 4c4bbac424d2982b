// Package logs puts together what several replicas write.
package logs

import (
	"context"
	"iter"
	"slices"
	"sync"
	"time"

	"rhumb"
)

// Source gives what one replica wrote, and with Follow what it writes.
type Source func(ctx context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error]

// Merge gives the lines that are there, by time. With a tail, the last n lines of each replica are read and the last
// n of them all are given.
func Merge(ctx context.Context, of Source, replicas []rhumb.Replica, o rhumb.LogOptions, yield func(rhumb.LogLine, error) bool) bool {
	type source struct {
		next func() (rhumb.LogLine, error, bool)
		line rhumb.LogLine
	}
	var sources []*source
	for _, rep := range replicas {
		next, stop := iter.Pull2(of(ctx, rep.ID, o))
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

// Follow gives lines as they come, of replicas that are there and of those that come, until ctx ends.
func Follow(ctx context.Context, of Source, list func(context.Context) ([]rhumb.Replica, error), from time.Time, yield func(rhumb.LogLine, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	lines := make(chan rhumb.LogLine)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	seen := map[string]bool{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		replicas, err := list(ctx)
		if err != nil && ctx.Err() == nil && rhumb.ErrorCode(err) != rhumb.Unavailable {
			yield(rhumb.LogLine{}, err)
			return
		}
		for _, rep := range replicas {
			if !seen[rep.ID] && (rep.Alive() || rep.Finished.After(from)) {
				seen[rep.ID] = true
				work.Go(func() { tailInto(ctx, of, rep.ID, from, lines) })
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

func tailInto(ctx context.Context, of Source, id string, from time.Time, lines chan<- rhumb.LogLine) {
	for l, err := range of(ctx, id, rhumb.LogOptions{Follow: true, Since: from}) {
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
