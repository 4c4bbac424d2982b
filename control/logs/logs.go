// Package logs merges what several replicas write.
package logs

import (
	"context"
	"iter"
	"slices"

	"rhumb"
)

// Source returns the lines of a replica, and with Follow also those that it writes from now on. It ends with
// Unavailable if the engine goes away, and may be called again once that is back.
type Source func(ctx context.Context, id string, o rhumb.LogOptions) iter.Seq2[rhumb.LogLine, error]

// reader reads the lines of one replica.
type reader struct {
	line rhumb.LogLine // the one to merge next
	next func() (rhumb.LogLine, error, bool)
}

// advance reads the next line. It reports false if there is none.
func (r *reader) advance() (ok bool, err error) {
	r.line, err, ok = r.next()
	return ok, err
}

// Merge yields the existing lines of the replicas, by time. With o.Tail, it reads the last n lines of each replica and
// yields the last n of all of them. It yields an error as the last element. It reports whether yield wants more.
func Merge(
	ctx context.Context, of Source, replicas []rhumb.Replica, o rhumb.LogOptions, yield func(rhumb.LogLine, error) bool,
) bool {
	var tail []rhumb.LogLine
	pass := func(l rhumb.LogLine, err error) bool {
		if err != nil || o.Tail <= 0 {
			return yield(l, err) && err == nil
		}
		tail = append(tail, l)
		return true
	}
	if !merge(ctx, of, replicas, o, pass) {
		return false
	}
	for _, l := range tail[max(0, len(tail)-max(o.Tail, 0)):] {
		if !yield(l, nil) {
			return false
		}
	}
	return true
}

// merge passes on all lines by time, and an error as the last element. It reports whether pass wants more.
func merge(
	ctx context.Context, of Source, replicas []rhumb.Replica, o rhumb.LogOptions, pass func(rhumb.LogLine, error) bool,
) bool {
	var readers []*reader
	for _, rep := range replicas {
		next, stop := iter.Pull2(of(ctx, rep.ID, o))
		defer stop()
		r := &reader{next: next}
		ok, err := r.advance()
		if err != nil {
			return pass(rhumb.LogLine{}, err)
		}
		if ok {
			readers = append(readers, r)
		}
	}
	for len(readers) > 0 {
		r := slices.MinFunc(readers, func(a, b *reader) int { return a.line.Time.Compare(b.line.Time) })
		if !pass(r.line, nil) {
			return false
		}
		ok, err := r.advance()
		if err != nil {
			return pass(rhumb.LogLine{}, err)
		}
		if !ok {
			readers = slices.DeleteFunc(readers, func(x *reader) bool { return x == r })
		}
	}
	return true
}
