package collect

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"rhumb"
	"rhumb/internal/pause"
	"rhumb/observe"
	"rhumb/observe/parse"
)

// slack is how much earlier than the line before it a line may be: the engine stamps each stream alone.
const slack = time.Second

// How long to wait before lines that the sink has not taken are tried again.
const (
	retryFirst = 20 * time.Millisecond
	retryMost  = time.Second
)

// frame is how many bytes a line has in the engine's file beside its text.
const frame = 80

// intake takes in the pieces of one container, makes lines of them and appends those to the sink.
type intake struct {
	sink observe.Sink
	log  *slog.Logger
	line rhumb.LogLine // what all lines have
	size *atomic.Int64 // the bytes in the engine's files of the lines that were delivered are added to it
	// refused takes why the sink has taken no lines for a second, and nil once it takes them again.
	refused func(error)

	lines  parse.Lines
	traces parse.Traces
	known  *known    // nil: the sink has none of the lines that come
	before time.Time // lines before this were read by an earlier process
	last   time.Time // the latest line so far
	oldest int64     // where the earliest line begins whose end has not come
	behind int       // bytes that were read since
	spans  []span    // of lines that are in the sink, where reading again must not begin

	out   []parse.Line
	batch []rhumb.LogLine
}

// span is from where a line begins to its last piece. Reading again must not begin between them: the other pieces alone
// would be another line.
type span struct {
	begin, end int64
	since      time.Time
}

// maxBehind is how far a line may begin behind what is read, in bytes. It is complete then, whatever follows.
const maxBehind = 32 << 20

// piece takes in a piece that begins at a place.
func (in *intake) piece(p parse.Piece, at int64) {
	if l, ok := in.lines.Add(p, at); ok {
		in.add(l)
	}
	begun, _, ok := in.lines.Begun()
	if !ok || begun != in.oldest {
		in.oldest, in.behind = begun, 0
	}
	if in.behind += len(p.Text); ok && in.behind > maxBehind {
		for _, l := range in.lines.Flush() {
			in.add(l)
		}
	}
}

// add takes in a line of the container.
func (in *intake) add(l parse.Line) {
	if l.Time.After(in.last) {
		in.last = l.Time
	}
	if l.Time.Before(in.before) {
		return
	}
	if in.known != nil {
		if begin, ok := in.known.has(&l); ok {
			in.cover(begin, l.End, l.Time)
			return
		}
		if in.known.over(l.Time) {
			in.known = nil
		}
	}
	in.out = in.traces.Add(l, in.out)
}

// flush completes the lines to which no line after a time can belong.
func (in *intake) flush(until time.Time) { in.out = in.traces.Flush(until, in.out) }

// flushTraces completes all lines whose ends have come.
func (in *intake) flushTraces() { in.out = in.traces.FlushAll(in.out) }

// flushAll completes all lines: nothing more comes.
func (in *intake) flushAll() {
	for _, l := range in.lines.Flush() {
		in.add(l)
	}
	in.flushTraces()
}

// deliver appends the complete lines to the sink. It tries again until the sink has taken all of them, and returns
// false if ctx ended before.
func (in *intake) deliver(ctx context.Context) bool {
	for i := range in.out {
		l := &in.out[i]
		in.cover(l.At, l.End, l.Time)
		in.batch = append(in.batch, in.describe(l))
		in.size.Add(int64(len(l.Text) + frame))
	}
	clear(in.out)
	in.out = in.out[:0]
	rest, wait, warned := in.batch, retryFirst, false
	for len(rest) > 0 {
		n, err := in.sink.Append(ctx, rest)
		rest = rest[min(max(n, 0), len(rest)):]
		if len(rest) == 0 {
			in.refused(nil)
			break
		}
		if ctx.Err() != nil {
			return false
		}
		if wait == retryMost {
			in.refused(err)
			if !warned {
				in.log.Warn("the log store takes no lines, trying again", "stack", in.line.Stack,
					"container", in.line.Container, "err", err)
			}
			warned = true
		}
		if n > 0 {
			wait = retryFirst
		}
		pause.For(ctx, wait)
		wait = min(2*wait, retryMost)
	}
	clear(in.batch)
	in.batch = in.batch[:0]
	return true
}

// cover keeps the span of a line that is in the sink.
func (in *intake) cover(begin, end int64, since time.Time) {
	if begin < end {
		in.spans = append(in.spans, span{begin, end, since})
	}
}

// describe returns a line with all that is known of it.
func (in *intake) describe(p *parse.Line) rhumb.LogLine {
	l := p.LogLine
	parse.Describe(&l)
	l.Stack, l.Service, l.Replica = in.line.Stack, in.line.Service, in.line.Replica
	l.Container, l.Release, l.Kind = in.line.Container, in.line.Release, in.line.Kind
	switch l.Kind {
	case rhumb.LineAccess, rhumb.LineEvent:
		attribute(&l)
	case rhumb.LineHook: // its text is one of the fields
		attribute(&l)
		l.Text, l.Stderr = l.Fields["text"], l.Fields["stderr"] == "true"
		l.Level, l.Fields = rhumb.LevelUnknown, nil
		parse.Describe(&l)
	}
	return l
}

// attribute moves a line that rhumb has written about a stack to that stack: the fields of its text say which one, and
// which service, release and replica.
func attribute(l *rhumb.LogLine) {
	if l.Fields["stack"] == "" {
		return
	}
	l.Stack, l.Service, l.Replica = l.Fields["stack"], l.Fields["service"], l.Fields["replica"]
	l.Release, _ = strconv.Atoi(l.Fields["release"]) // 0: none
	for _, name := range []string{"stack", "service", "replica", "release"} {
		delete(l.Fields, name)
	}
}

// safe returns from where all lines must be read again after a crash, and a time that is not after theirs, once deliver
// has returned true. read is where reading goes on.
func (in *intake) safe(read int64) (at int64, since time.Time) {
	at, since = read, in.last
	before := func(a int64, s time.Time) {
		at = min(at, a)
		if s.Before(since) {
			since = s
		}
	}
	if a, s, ok := in.lines.Begun(); ok {
		before(a, s)
	}
	if a, s, ok := in.traces.Begun(); ok {
		before(a, s)
	}
	if in.known != nil {
		if a, s, ok := in.known.waits(); ok {
			before(a, s)
		}
	}
	for again := true; again; {
		again = false
		for _, s := range in.spans {
			if s.begin < at && at <= s.end {
				before(s.begin, s.since)
				again = true
			}
		}
	}
	in.spans = slices.DeleteFunc(in.spans, func(s span) bool { return s.end < at })
	return at, since
}
