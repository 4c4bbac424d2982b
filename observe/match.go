package observe

import (
	"regexp"
	"slices"
	"strings"

	"rhumb"
)

// Match returns a function that reports whether a query chooses a line. It leaves out what needs more than the line:
// Query, Tail, Follow and Around. Since and Until belong to the time that they choose.
// Invalid: Grep isn't a regular expression, or there is no such stream, kind or level.
func Match(q rhumb.LogQuery) (func(*rhumb.LogLine) bool, error) {
	if err := check(q); err != nil {
		return nil, err
	}
	var grep *regexp.Regexp
	if q.Grep != "" {
		var err error
		if grep, err = regexp.Compile(q.Grep); err != nil {
			return nil, rhumb.Errorf(rhumb.Invalid, "the regular expression %q can't be read: %w", q.Grep, err).
				WithHint("put a backslash before special characters: . * + ? ( ) [ ] { } ^ $ | \\")
		}
	}
	return func(l *rhumb.LogLine) bool {
		return source(q, l) && inTime(q, l) && l.Level >= q.Level && (grep == nil || grep.MatchString(l.Text))
	}, nil
}

// check reports a stream, kind or level that doesn't exist.
func check(q rhumb.LogQuery) error {
	if !slices.Contains([]string{"", "stdout", "stderr"}, q.Stream) {
		return rhumb.Errorf(rhumb.Invalid, "there is no stream %q", q.Stream).WithHint("use stdout or stderr")
	}
	for _, k := range q.Kinds {
		if _, err := rhumb.ParseLineKind(k.String()); err != nil {
			return err
		}
	}
	if q.Level < rhumb.LevelUnknown || q.Level > rhumb.LevelFatal {
		return rhumb.Errorf(rhumb.Invalid, "there is no level %d", q.Level).
			WithHint("levels go from 0 to %d", rhumb.LevelFatal)
	}
	return nil
}

// source reports whether a query chooses what wrote a line.
func source(q rhumb.LogQuery, l *rhumb.LogLine) bool {
	switch {
	case q.Stack != "" && l.Stack != q.Stack,
		len(q.Services) > 0 && !slices.Contains(q.Services, l.Service),
		q.Replica != "" && l.Replica != q.Replica && !strings.HasPrefix(l.Container, q.Replica),
		q.Release != 0 && l.Release != q.Release,
		!slices.Contains(q.ChosenKinds(), l.Kind):
		return false
	}
	return q.Stream == "" || l.Stream() == q.Stream
}

// inTime reports whether a query chooses a line's time.
func inTime(q rhumb.LogQuery, l *rhumb.LogLine) bool {
	return (q.Since.IsZero() || !l.Time.Before(q.Since)) && (q.Until.IsZero() || !l.Time.After(q.Until))
}

// SameWriter reports whether two lines are of the same container, or of the same source that isn't one.
func SameWriter(a, b *rhumb.LogLine) bool {
	return a.Container == b.Container && a.Stack == b.Stack && a.Service == b.Service && a.Replica == b.Replica
}

// CountsDropped reports whether the lines of a service that could not be kept belong to a query's counts: nothing is
// known of them but their stack, service and release.
func CountsDropped(q rhumb.LogQuery, stack, service string, release int) bool {
	return (q.Stack == "" || q.Stack == stack) && (len(q.Services) == 0 || slices.Contains(q.Services, service)) &&
		(q.Release == 0 || q.Release == release)
}
