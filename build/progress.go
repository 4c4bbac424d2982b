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

// teller turns BuildKit's status into lines of news, and keeps the last output of each step.
type teller struct {
	service  string
	progress func(rhumb.BuildProgress)
	steps    map[digest.Digest]*vertex
}

// vertex is one step of the build, in BuildKit's word.
type vertex struct {
	name          string
	started, done bool
	partial       []byte   // a line whose end hasn't come
	last          []string // the last lines
	err           string
}

func newTeller(service string, progress func(rhumb.BuildProgress)) *teller {
	if progress == nil {
		progress = func(rhumb.BuildProgress) {}
	}
	return &teller{service: service, progress: progress, steps: map[digest.Digest]*vertex{}}
}

func (t *teller) tell(s *bkclient.SolveStatus) {
	for _, v := range s.Vertexes {
		st := t.vertex(v.Digest)
		st.name = v.Name
		if v.Error != "" {
			st.err = v.Error
		}
		if v.Started != nil && !st.started {
			st.started = true
			if !v.Cached {
				t.say(st, rhumb.BuildProgress{})
			}
		}
		if v.Completed != nil && !st.done {
			st.done = true
			t.flush(st)
			t.say(st, rhumb.BuildProgress{Cached: v.Cached, Done: true})
		}
	}
	for _, l := range s.Logs {
		t.output(t.vertex(l.Vertex), l.Data)
	}
}

func (t *teller) vertex(d digest.Digest) *vertex {
	st, ok := t.steps[d]
	if !ok {
		st = &vertex{}
		t.steps[d] = st
	}
	return st
}

// say passes news on, except of the builder's own chores.
func (t *teller) say(st *vertex, p rhumb.BuildProgress) {
	if strings.HasPrefix(st.name, "[internal]") || strings.HasPrefix(st.name, "[auth]") {
		return
	}
	p.Service, p.Step = t.service, st.name
	t.progress(p)
}

// output splits what a step prints into lines. A carriage return starts a line anew, as progress bars do.
func (t *teller) output(st *vertex, data []byte) {
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
			t.flush(st)
		}
	}
}

func (t *teller) flush(st *vertex) {
	if len(st.partial) == 0 {
		return
	}
	line := strings.ToValidUTF8(string(st.partial), "\uFFFD")
	st.partial = st.partial[:0]
	if st.last = append(st.last, line); len(st.last) > keepLines {
		st.last = st.last[1:]
	}
	t.say(st, rhumb.BuildProgress{Output: line})
}

// failed gives the name and the last output of the step that failed, if one did.
func (t *teller) failed() (name string, output []string) {
	for _, st := range t.steps {
		if st.err != "" && !strings.Contains(st.err, "context canceled") {
			t.flush(st)
			return st.name, st.last
		}
	}
	return "", nil
}
