package logstore

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/VictoriaMetrics/VictoriaLogs/lib/logstorage"

	"rhumb"
)

// Append implements observe.Sink. It takes all lines or, if the disk is full, none. Of a long line it takes the
// beginning. Lines that are older than their stack keeps are taken and removed at once.
// Unavailable: the disk is full.
func (s *Store) Append(ctx context.Context, lines []rhumb.LogLine) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if len(lines) == 0 {
		return 0, nil
	}
	if err := full(s.dir); err != nil {
		return 0, err
	}
	if err := s.reserve(); err != nil {
		return 0, err
	}
	taken := 0
	for taken < len(lines) {
		name := lines[taken].Stack
		n := slices.IndexFunc(lines[taken:], func(l rhumb.LogLine) bool { return l.Stack != name })
		if n < 0 {
			n = len(lines) - taken
		}
		k, err := s.stack(name)
		if err == nil {
			err = s.take(k, lines[taken:taken+n])
		}
		if err != nil {
			return taken, err
		}
		taken += n
	}
	return taken, nil
}

// take takes lines of one stack.
func (s *Store) take(k *stack, lines []rhumb.LogLine) error {
	k.appending.Lock()
	defer k.appending.Unlock()
	g := k.active(s.log)
	if err := k.bound(g, s.log); err != nil {
		return err
	}
	g = k.active(s.log)
	storage := g.acquire()
	defer g.release()
	s.hub.mu.RLock()
	defer s.hub.mu.RUnlock()
	lr := logstorage.GetLogRows(nil, nil, nil, nil, "")
	defer logstorage.PutLogRows(lr)
	epoch := strconv.FormatUint(s.hub.epoch, 10)
	now := time.Now()
	k.mu.Lock()
	earliest := nanoseconds(now.Add(-k.limits.Keep))
	k.mu.Unlock()
	latest := nanoseconds(now.Add(farFuture - day))
	for i := range lines {
		l := cut(lines[i])
		ns := nanoseconds(l.Time)
		if ns > latest {
			k.drop(source{l.Service, l.Release}, 1)
		}
		if ns < earliest || ns > latest {
			continue
		}
		lr.MustAdd(tenants[0], ns, k.encoder.encode(&l, k.tie(l.Container, ns), epoch), streamTags)
		k.unsynced[ns/int64(day)] = true
		k.unchecked += int64(len(l.Text))
		if lr.NeedFlush() {
			storage.MustAddRows(lr)
			lr.ResetKeepSettings()
		}
	}
	if lr.RowsCount() > 0 {
		storage.MustAddRows(lr)
	}
	s.hub.announce(k.name, lines)
	return nil
}

// tie returns how many lines of a container came before this one at the same time. It forgets containers when there
// are many.
func (k *stack) tie(container string, ns int64) uint64 {
	t, ok := k.ties[container]
	if ok && t.ns == ns {
		t.n++
	} else {
		t = tie{ns: ns}
	}
	if !ok && len(k.ties) >= 1000 {
		clear(k.ties)
	}
	k.ties[container] = t
	return t.n
}

// cut returns a line whose text isn't too long, and ends with a whole character.
func cut(l rhumb.LogLine) rhumb.LogLine {
	if len(l.Text) <= maxText {
		return l
	}
	n := maxText
	for n > maxText-utf8.UTFMax && !utf8.RuneStart(l.Text[n]) {
		n--
	}
	l.Cut += len(l.Text) - n
	l.Text = l.Text[:n]
	return l
}

// nanoseconds returns a time in nanoseconds since 1970: the nearest that can be written so.
func nanoseconds(t time.Time) int64 {
	switch year := t.Year(); {
	case year < 1678:
		return math.MinInt64
	case year > 2261:
		return math.MaxInt64
	}
	return t.UnixNano()
}

// Drop implements observe.Sink. The count is on the disk after the next Sync.
func (s *Store) Drop(name, service string, release int, lines int64) {
	k, err := s.stack(name)
	if err != nil {
		s.log.Error("dropped log lines not counted", "stack", name, "service", service, "lines", lines, "err", err)
		return
	}
	k.drop(source{service, release}, lines)
}

// Sync implements observe.Sink. No line of a stack is taken while those before it are written.
func (s *Store) Sync(ctx context.Context, stacks ...string) error {
	var errs []error
	for _, k := range s.all() {
		if len(stacks) > 0 && !slices.Contains(stacks, k.name) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		errs = append(errs, k.sync())
	}
	return errors.Join(errs...)
}

// Since implements observe.Sink.
func (s *Store) Since(ctx context.Context, container string, from time.Time, yield func(rhumb.LogLine) bool) error {
	r := s.read(s.all(), s.hub.next(nil))
	defer r.close()
	f := &filter{text: equal(fieldContainer, container)}
	_, err := r.walk(ctx, f, span{nanoseconds(from), math.MaxInt64}, false, func(rows []row) bool {
		for i := range rows {
			if !yield(rows[i].LogLine) {
				return false
			}
		}
		return true
	})
	return err
}
