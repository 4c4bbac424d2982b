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

// Follow gives lines as they come, of replicas that are there and of those that come, until ctx ends. Where the engine goes away it goes on
// once that is back.
func Follow(ctx context.Context, of Source, list func(context.Context) ([]rhumb.Replica, error), from time.Time, yield func(rhumb.LogLine, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	lines, ends := make(chan rhumb.LogLine), make(chan end)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	ts := tails{}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		replicas, err := list(ctx)
		if err != nil && ctx.Err() == nil && rhumb.ErrorCode(err) != rhumb.Unavailable {
			yield(rhumb.LogLine{}, err)
			return
		}
		for _, rep := range replicas {
			if t := ts.due(rep, from); t != nil {
				work.Go(func() { tailInto(ctx, of, rep.ID, t.next, lines, ends) })
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
			case e := <-ends:
				*ts[e.id] = e.tail
			case <-tick.C:
				waiting = false
			}
		}
	}
}

// tail is how far a replica's lines have been given.
type tail struct {
	next time.Time // from when on they are still to be given
	cut  bool      // nobody reads them, and there may be more
}

// tails are those of replicas, by ID.
type tails map[string]*tail

// due gives the tail of a replica that somebody shall read now; nil: nobody.
func (ts tails) due(rep rhumb.Replica, from time.Time) *tail {
	t := ts[rep.ID]
	switch {
	case t != nil && t.cut:
	case t == nil && (rep.Alive() || rep.Finished.After(from)):
		t = &tail{next: from}
		ts[rep.ID] = t
	default:
		return nil
	}
	t.cut = false
	return t
}

// end is what becomes of a replica's tail when it ends.
type end struct {
	id string
	tail
}

func tailInto(ctx context.Context, of Source, id string, from time.Time, lines chan<- rhumb.LogLine, ends chan<- end) {
	t := tail{next: from}
	for l, err := range of(ctx, id, rhumb.LogOptions{Follow: true, Since: from}) {
		if err != nil {
			t.cut = rhumb.ErrorCode(err) == rhumb.Unavailable // else the replica is gone, or the reader is
			break
		}
		select {
		case lines <- l:
			t.next = l.Time.Add(time.Nanosecond)
		case <-ctx.Done():
			return
		}
	}
	select {
	case ends <- end{id, t}:
	case <-ctx.Done():
	}
}
