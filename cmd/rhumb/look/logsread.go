package look

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
	"rhumb/httpapi/client"
	"rhumb/internal/pause"
	"rhumb/observe"
)

// logReader reads kept lines. If logs are not kept, or can't be read, it reads those of the replicas that exist from
// the engine.
type logReader struct {
	client *client.Client
	query  rhumb.LogQuery
	note   func(why error) // reports that only the lines of existing replicas are shown
	print  func(rhumb.LogLine) error

	printed int
	newest  []rhumb.LogLine // those of the latest time that were printed
	before  []rhumb.LogLine // those of newest when the connection broke, which come again
}

// keptTries is how often a follower tries to read kept lines again, once a second, before it reads the engine's.
const keptTries = 10

// read prints the lines.
func (r *logReader) read(ctx context.Context) error {
	q := r.query
	for tries := 0; ; tries++ {
		before := r.printed
		err := r.kept(ctx, q)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil || !absent(err) || r.printed > 0 && !q.Follow:
			return err
		case r.printed == 0 || tries == keptTries:
			return r.living(ctx, q, err)
		case r.printed > before:
			tries = 0
		}
		q.Tail, q.Since, r.before = 0, r.newest[0].Time, r.newest
		if !pause.For(ctx, time.Second) {
			return ctx.Err()
		}
	}
}

// absent reports whether an error means that kept lines can't be read now. An older server doesn't know the request.
func absent(err error) bool {
	return slices.Contains([]rhumb.Code{rhumb.Unavailable, rhumb.Unsupported, rhumb.NotFound}, rhumb.ErrorCode(err))
}

// kept prints kept lines.
func (r *logReader) kept(ctx context.Context, q rhumb.LogQuery) error {
	for l, err := range r.client.Lines(ctx, q) {
		if err != nil {
			return err
		}
		if err := r.once(l); err != nil {
			return err
		}
	}
	return nil
}

// once prints a line, unless it was printed before the connection broke.
func (r *logReader) once(l rhumb.LogLine) error {
	same := func(old rhumb.LogLine) bool {
		return old.Time.Equal(l.Time) && old.Replica == l.Replica && old.Stderr == l.Stderr && old.Text == l.Text
	}
	if slices.ContainsFunc(r.before, same) {
		return nil
	}
	switch {
	case len(r.newest) == 0 || l.Time.After(r.newest[0].Time):
		r.newest = []rhumb.LogLine{l}
	case l.Time.Equal(r.newest[0].Time):
		r.newest = append(slices.Clip(r.newest), l)
	}
	r.printed++
	return r.print(l)
}

// living prints the lines of the replicas that exist, from the engine. why is the error of the kept lines.
func (r *logReader) living(ctx context.Context, q rhumb.LogQuery, why error) error {
	if only := needsKept(q); len(only) > 0 {
		if rhumb.ErrorCode(why) == rhumb.NotFound {
			return why
		}
		return rhumb.Errorf(rhumb.ErrorCode(why), "%s works only on kept logs: %w", strings.Join(only, ", "), why).
			WithHint("%s", rhumb.ErrorHint(why))
	}
	match, err := observe.Match(q)
	if err != nil {
		return err
	}
	if rhumb.ErrorCode(why) != rhumb.NotFound {
		r.note(why)
	}
	asked, keep := q.LogOptions, 0
	if filtered(q) && !q.Follow && q.Tail > 0 { // -n counts the lines that match
		asked.Tail, keep = 0, q.Tail
	}
	var last []rhumb.LogLine
	for l, err := range r.client.Logs(ctx, q.Stack, q.Services, asked) {
		if err != nil {
			return err
		}
		known := l
		known.Release = releaseOf(l)
		switch {
		case !match(&known):
		case keep > 0:
			last = append(last, l)
			last = last[max(0, len(last)-keep):]
		default:
			err = r.once(l)
		}
		if err != nil {
			return err
		}
	}
	for _, l := range last {
		err = errors.Join(err, r.once(l))
	}
	return errors.Join(err, ctx.Err())
}

// needsKept returns the flags of a query that work only on kept logs.
func needsKept(q rhumb.LogQuery) []string {
	var flags []string
	for flag, set := range map[string]bool{"--level": q.Level != 0, "--query": q.Query != "", "--context": q.Around > 0,
		"--kind": !slices.Contains(q.ChosenKinds(), rhumb.LineOutput)} {
		if set {
			flags = append(flags, flag)
		}
	}
	slices.Sort(flags)
	return flags
}

// filtered reports whether a query leaves lines out that the engine's answer has.
func filtered(q rhumb.LogQuery) bool {
	return q.Grep != "" || q.Replica != "" || q.Release != 0 || q.Stream != ""
}

// releaseOf returns the release in the name of a line's replica, STACK-SERVICE.RELEASE.SLOT; 0: there is none.
func releaseOf(l rhumb.LogLine) int {
	parts := strings.Split(l.Replica, ".")
	if len(parts) < 3 {
		return 0
	}
	n, err := strconv.Atoi(parts[len(parts)-2])
	if err != nil {
		return 0
	}
	return n
}
