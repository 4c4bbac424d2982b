package view

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// lineView shows a deployment in plain lines, one an event.
type lineView struct {
	Silent
	mu   sync.Mutex
	w    io.Writer
	said map[string]string // by subject: what was said of it last
}

// Build shows that a step of a build has begun, unless its result was there already.
func (v *lineView) Build(p rhumb.BuildProgress) {
	if p.Step == "" || p.Output != "" || p.Done || p.Cached {
		return
	}
	v.once(p.Service+"/"+p.Step, fmt.Sprintf("%s: building %s", p.Service, brief(p.Step)))
}

// maxStep is how much of a build's step a line shows.
const maxStep = 90

// brief gives a step on one line, cut where it gets long: a RUN may be a screenful.
func brief(step string) string {
	words := []rune(strings.Join(strings.Fields(step), " "))
	if len(words) <= maxStep {
		return string(words)
	}
	return string(words[:maxStep-1]) + "…"
}

// Event shows what happened.
func (v *lineView) Event(e rhumb.Event) {
	switch e.Kind {
	case rhumb.EventDeployment:
		if e.Phase.Ended() {
			return // the verdict says it
		}
	case rhumb.EventPull:
		done := e.Total > 0 && e.Done >= e.Total
		line := fmt.Sprintf("%s: pulling %s", e.Service, e.Text)
		if done {
			line = fmt.Sprintf("%s: pulled %s, %s", e.Service, e.Text, Bytes(e.Total))
		}
		v.once(fmt.Sprintf("%s/pull/%t", e.Service, done), line)
		return
	}
	v.Say(wordsOf(e))
}

// Hold says how many requests wait for a service's replica, and how long the first has.
func (v *lineView) Hold(service string, requests int, waited time.Duration) {
	if words := holdWords(requests, waited); words != "" {
		v.Say(service + ": " + words)
	}
}

// once says a line unless the same was said of key before.
func (v *lineView) once(key, line string) {
	v.mu.Lock()
	same := v.said[key] == line
	v.said[key] = line
	v.mu.Unlock()
	if !same {
		v.Say(line)
	}
}

// Say shows words of the client itself.
func (v *lineView) Say(words string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintln(v.w, words)
}

// Ask puts a question on the screen.
func (v *lineView) Ask(question string) { v.Say(question) }

// jsonView prints the events as lines of JSON.
type jsonView struct {
	Silent
	w io.Writer
}

// Build prints one line of news from a build.
func (v jsonView) Build(p rhumb.BuildProgress) { v.line("build", p) }

// Event prints what happened.
func (v jsonView) Event(e rhumb.Event) { v.line("event", e) }

func (v jsonView) line(key string, value any) {
	_ = Line(v.w, map[string]any{key: value}) // the last line, the deployment, tells when nothing can be written
}
