package build

import (
	"bytes"
	"strings"

	bkclient "github.com/moby/buildkit/client"
	"github.com/opencontainers/go-digest"

	"rhumb"
)

const (
	keepLines = 20      // of a step's output, for the error
	maxLine   = 4 << 10 // bytes of a line; the rest is cut off
)

// reporter turns BuildKit's status into progress events, and keeps the last output of each step.
type reporter struct {
	service  string
	progress func(rhumb.BuildProgress)
	steps    map[digest.Digest]*vertex
}

// vertex is one step of the build, in BuildKit's terms.
type vertex struct {
	name          string
	started, done bool
	partial       []byte   // a line without its end
	last          []string // the last lines
	err           string
}

func newReporter(service string, progress func(rhumb.BuildProgress)) *reporter {
	if progress == nil {
		progress = func(rhumb.BuildProgress) {}
	}
	return &reporter{service: service, progress: progress, steps: map[digest.Digest]*vertex{}}
}

func (r *reporter) status(s *bkclient.SolveStatus) {
	for _, v := range s.Vertexes {
		st := r.vertex(v.Digest)
		st.name = v.Name
		if v.Error != "" {
			st.err = v.Error
		}
		if v.Started != nil && !st.started {
			st.started = true
			if !v.Cached {
				r.report(st, rhumb.BuildProgress{})
			}
		}
		if v.Completed != nil && !st.done {
			st.done = true
			r.flush(st)
			r.report(st, rhumb.BuildProgress{Cached: v.Cached, Done: true})
		}
	}
	for _, l := range s.Logs {
		r.output(r.vertex(l.Vertex), l.Data)
	}
}

func (r *reporter) vertex(d digest.Digest) *vertex {
	st, ok := r.steps[d]
	if !ok {
		st = &vertex{}
		r.steps[d] = st
	}
	return st
}

// report calls progress, except for BuildKit's internal steps.
func (r *reporter) report(st *vertex, p rhumb.BuildProgress) {
	if strings.HasPrefix(st.name, "[internal]") || strings.HasPrefix(st.name, "[auth]") {
		return
	}
	p.Service, p.Step = r.service, st.name
	r.progress(p)
}

// output splits a step's output into lines. A carriage return also ends a line: progress bars use it.
func (r *reporter) output(st *vertex, data []byte) {
	for len(data) > 0 {
		i := bytes.IndexAny(data, "\r\n")
		chunk := data
		if i >= 0 {
			chunk = data[:i]
		}
		st.partial = append(st.partial, chunk[:min(len(chunk), maxLine-len(st.partial))]...)
		if i < 0 {
			return
		}
		if data = data[i+1:]; len(st.partial) > 0 {
			r.flush(st)
		}
	}
}

func (r *reporter) flush(st *vertex) {
	if len(st.partial) == 0 {
		return
	}
	line := strings.ToValidUTF8(string(st.partial), "\uFFFD")
	st.partial = st.partial[:0]
	if st.last = append(st.last, line); len(st.last) > keepLines {
		st.last = st.last[1:]
	}
	r.report(st, rhumb.BuildProgress{Output: line})
}

// failed returns the name and the last output of the failed step, if there is one.
func (r *reporter) failed() (name string, output []string) {
	for _, st := range r.steps {
		if st.err != "" && !strings.Contains(st.err, "context canceled") {
			r.flush(st)
			return st.name, st.last
		}
	}
	return "", nil
}
