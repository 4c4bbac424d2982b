package main

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"rhumb"
)

// lineView shows a deployment in plain lines, one an event.
type lineView struct {
	mu   sync.Mutex
	w    io.Writer
	said map[string]string // by subject: what was said of it last
}

func (v *lineView) build(p rhumb.BuildProgress) {
	if p.Step == "" || p.Output != "" {
		return
	}
	state := ""
	switch {
	case p.Cached:
		state = " (cached)"
	case p.Done:
		return
	}
	v.once(p.Service+"/"+p.Step, fmt.Sprintf("%s: building %s%s", p.Service, brief(p.Step), state))
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

func (v *lineView) event(e rhumb.Event) {
	switch e.Kind {
	case rhumb.EventDeployment:
		if e.Phase.Ended() {
			return // the verdict says it
		}
	case rhumb.EventPull:
		done := e.Total > 0 && e.Done >= e.Total
		line := fmt.Sprintf("%s: pulling %s", e.Service, e.Text)
		if done {
			line = fmt.Sprintf("%s: pulled %s, %s", e.Service, e.Text, bytesOf(e.Total))
		}
		v.once(fmt.Sprintf("%s/pull/%t", e.Service, done), line)
		return
	}
	v.say(wordsOf(e))
}

// once says a line unless the same was said of key before.
func (v *lineView) once(key, line string) {
	v.mu.Lock()
	same := v.said[key] == line
	v.said[key] = line
	v.mu.Unlock()
	if !same {
		v.say(line)
	}
}

func (v *lineView) say(words string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	fmt.Fprintln(v.w, words)
}

func (v *lineView) ask(question string) { v.say(question) }
func (*lineView) answered()             {}
func (*lineView) tick()                 {}
func (*lineView) close()                {}

// jsonView prints the events as lines of JSON.
type jsonView struct{ w io.Writer }

func (v jsonView) build(p rhumb.BuildProgress) { v.line("build", p) }
func (v jsonView) event(e rhumb.Event)         { v.line("event", e) }
func (v jsonView) line(key string, value any) {
	_ = printLine(v.w, map[string]any{key: value}) // the last line, the deployment, tells when nothing can be written
}
func (v jsonView) say(string) {}
func (v jsonView) ask(string) {}
func (v jsonView) answered()  {}
func (v jsonView) tick()      {}
func (v jsonView) close()     {}
