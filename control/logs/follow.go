package logs

import (
	"context"
	"sync"
	"time"

	"rhumb"
)

// Follow yields lines as replicas write them, of those that list returns now and of those that it returns later, until
// ctx ends or yield wants no more. It reads from the time from on. If the engine goes away, it continues once that is
// back. list is called every second; an error other than Unavailable is yielded and ends Follow.
func Follow(
	ctx context.Context, of Source, list func(context.Context) ([]rhumb.Replica, error), from time.Time,
	yield func(rhumb.LogLine, error) bool,
) {
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
				work.Go(func() { read(ctx, of, rep.ID, t.next, lines, ends) })
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

// tail says how far the lines of a replica have been read.
type tail struct {
	next time.Time // the lines from here on have not been read
	cut  bool      // reading has ended although there may be more lines
}

// tails has the tails of replicas by their IDs.
type tails map[string]*tail

// due returns the tail of a replica whose lines must be read from now on; nil: they are being read, or there are no
// more.
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

// end is the tail of a replica when reading it has ended.
type end struct {
	id string
	tail
}

// read follows the lines of a replica and sends them to lines, and then sends the tail to ends.
func read(
	ctx context.Context, of Source, id string, from time.Time, lines chan<- rhumb.LogLine, ends chan<- end,
) {
	t := tail{next: from}
	for l, err := range of(ctx, id, rhumb.LogOptions{Follow: true, Since: from}) {
		if err != nil {
			t.cut = rhumb.ErrorCode(err) == rhumb.Unavailable // otherwise the replica is gone, or ctx has ended
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
