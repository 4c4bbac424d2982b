package view

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// lineView shows a deployment as plain lines, one per event.
type lineView struct {
	silent
	mu   sync.Mutex
	w    io.Writer
	said map[string]string // by subject: its last line
}

// Build shows that a step of a build has begun, unless its result is cached.
func (v *lineView) Build(p rhumb.BuildProgress) {
	if p.Step == "" || p.Output != "" || p.Done || p.Cached {
		return
	}
	v.once(p.Service+"/"+p.Step, fmt.Sprintf("%s: building %s", p.Service, brief(p.Step)))
}

// maxStep is how many characters of a build's step a line shows.
const maxStep = 90

// brief returns a step on one line. It shortens long steps, because a RUN may fill the screen.
func brief(step string) string {
	words := []rune(strings.Join(strings.Fields(step), " "))
	if len(words) <= maxStep {
		return string(words)
	}
	return string(words[:maxStep-1]) + "…"
}

// Event shows an event.
func (v *lineView) Event(e rhumb.Event) {
	switch e.Kind {
	case rhumb.EventDeployment:
		if e.Phase.Ended() {
			return // the verdict reports it
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

// Hold shows how many requests wait for a replica of the service, and for how long.
func (v *lineView) Hold(service string, requests int, waited time.Duration) {
	if words := holdWords(requests, waited); words != "" {
		v.Say(service + ": " + words)
	}
}

// once shows a line unless it was the last line about key.
func (v *lineView) once(key, line string) {
	v.mu.Lock()
	same := v.said[key] == line
	v.said[key] = line
	v.mu.Unlock()
	if !same {
		v.Say(line)
	}
}

// Say shows a message of the client.
func (v *lineView) Say(words string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintln(v.w, words)
}

// Ask shows a question.
func (v *lineView) Ask(question string) { v.Say(question) }

// jsonView shows a deployment as lines of JSON.
type jsonView struct {
	silent
	w io.Writer
}

// Build prints the progress of a build.
func (v jsonView) Build(p rhumb.BuildProgress) { v.line("build", p) }

// Event prints an event.
func (v jsonView) Event(e rhumb.Event) { v.line("event", e) }

func (v jsonView) line(key string, value any) {
	_ = Line(v.w, map[string]any{key: value}) // the last line, the deployment, reports a failed write
}
