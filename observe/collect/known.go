package collect

import (
	"context"
	"hash/maphash"
	"strings"
	"time"

	"rhumb"
	"rhumb/observe"
	"rhumb/observe/parse"
)

var seed = maphash.MakeSeed()

// known are the lines that the sink has already, of one container. A kept line may be several lines of the container,
// joined. Known matches those one after the other, so that it doesn't matter how they would be joined now.
type known struct {
	lines map[lineKey][][]uint64 // by a kept line's first line: the hashes of its further lines
	next  [2][]uint64            // by stream: the further lines that are expected
	begun [2]int64               // by stream: where the kept line begins that has them,
	since [2]time.Time           // and when
	last  time.Time
}

// lineKey identifies a line: its time has nanoseconds.
type lineKey struct {
	nanos  int64
	stderr bool
	text   uint64
}

// askSink returns the container's lines that the sink has from a time on; nil if there are none.
func askSink(ctx context.Context, sink observe.Sink, container string, from time.Time) (*known, error) {
	k := &known{lines: map[lineKey][][]uint64{}}
	err := sink.Since(ctx, container, from, func(l rhumb.LogLine) bool {
		k.add(&l)
		return true
	})
	if err != nil {
		return nil, err
	}
	if len(k.lines) == 0 {
		return nil, nil
	}
	return k, nil
}

func (k *known) add(l *rhumb.LogLine) {
	first, rest, more := strings.Cut(l.Text, "\n")
	key := lineKey{l.Time.UnixNano(), l.Stderr, maphash.String(seed, first)}
	var further []uint64
	for more {
		var line string
		line, rest, more = strings.Cut(rest, "\n")
		further = append(further, maphash.String(seed, line))
	}
	k.lines[key] = append(k.lines[key], further)
	if l.Time.After(k.last) {
		k.last = l.Time
	}
}

// has reports whether the sink has a line of the container, and counts it: an equal line must be there again. It
// returns where the kept line begins that it is a part of.
func (k *known) has(l *parse.Line) (begun int64, ok bool) {
	stream := 0
	if l.Stderr {
		stream = 1
	}
	hash := maphash.String(seed, l.Text)
	if next := k.next[stream]; len(next) > 0 {
		if next[0] == hash {
			k.next[stream] = next[1:]
			return k.begun[stream], true
		}
		k.next[stream] = nil
	}
	key := lineKey{l.Time.UnixNano(), l.Stderr, hash}
	found := k.lines[key]
	if len(found) == 0 {
		return 0, false
	}
	k.next[stream], k.begun[stream], k.since[stream] = found[0], l.At, l.Time
	if len(found) == 1 {
		delete(k.lines, key)
	} else {
		k.lines[key] = found[1:]
	}
	return l.At, true
}

// waits returns where and when the earliest kept line begins of which further lines are expected; false if there is
// none.
func (k *known) waits() (at int64, since time.Time, ok bool) {
	for i := range k.next {
		if len(k.next[i]) > 0 && (!ok || k.begun[i] < at) {
			at, since, ok = k.begun[i], k.since[i], true
		}
	}
	return at, since, ok
}

// over reports whether no line at a time or later can be known.
func (k *known) over(t time.Time) bool {
	return len(k.next[0]) == 0 && len(k.next[1]) == 0 && (len(k.lines) == 0 || t.After(k.last.Add(time.Minute)))
}
