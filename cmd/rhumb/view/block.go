package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/terminal"
)

// block shows a deployment on a terminal: one line per service, redrawn in the same place.
type block struct {
	w     io.Writer
	paint paint
	now   func() time.Time

	mu     sync.Mutex
	stack  string
	began  time.Time
	phase  rhumb.Phase
	to     int
	rows   []*row
	drawn  int // lines on the screen
	spin   int
	asking bool // a question is open: draw nothing
}

// row is one service's line.
type row struct {
	wanted
	began, ended time.Time
	pull, built  string
	failed       string
	held         string                     // how many requests wait; "": none
	replicas     map[string]rhumb.EventKind // by name: its last event
	release      map[string]int
}

func newBlock(w io.Writer, p paint, s Subject, now func() time.Time) *block {
	b := &block{w: w, paint: p, now: now, stack: s.stack, began: now()}
	for _, svc := range s.services {
		b.rows = append(b.rows, newRow(svc))
	}
	return b
}

func newRow(w wanted) *row {
	return &row{wanted: w, replicas: map[string]rhumb.EventKind{}, release: map[string]int{}}
}

// row returns a service's line. It adds one for a service that is not in the Subject, such as a service that is
// removed.
func (b *block) row(service string) *row {
	for _, r := range b.rows {
		if r.name == service {
			return r
		}
	}
	r := newRow(wanted{name: service})
	b.rows = append(b.rows, r)
	return r
}

// Build shows the progress of a build.
func (b *block) Build(p rhumb.BuildProgress) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.row(p.Service)
	r.start(b.now())
	if p.Step != "" {
		r.built = brief(OneLine(p.Step))
	}
	b.draw()
}

// Event shows an event.
func (b *block) Event(e rhumb.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	defer b.draw()
	switch e.Kind {
	case rhumb.EventDeployment:
		b.phase = e.Phase
		if e.Release != 0 && e.Phase == rhumb.PhaseRolling {
			b.to = e.Release
		}
		for _, r := range b.rows {
			r.built = "" // the builds have ended
		}
		return
	case rhumb.EventWarning, rhumb.EventBackoff, rhumb.EventLimits:
		b.above(b.paint.yellow("! ") + wordsOf(e))
		return
	}
	if e.Service == "" {
		return
	}
	r := b.row(e.Service)
	r.start(b.now())
	switch e.Kind {
	case rhumb.EventPull:
		r.pulling(e)
	case rhumb.EventFailed:
		r.failed = OneLine(reasonOf(e))
		r.note(e)
	default:
		r.note(e)
	}
}

// Hold shows how many requests wait for a replica of the service, and for how long.
func (b *block) Hold(service string, requests int, waited time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.row(service).held = holdWords(requests, waited)
	b.draw()
}

func reasonOf(e rhumb.Event) string {
	if e.Failure != nil && e.Failure.Reason != "" {
		return e.Failure.Reason
	}
	if e.Text != "" {
		return e.Text
	}
	return "failed"
}

func (r *row) start(now time.Time) {
	if r.began.IsZero() {
		r.began = now
	}
}

func (r *row) note(e rhumb.Event) {
	if e.Replica == "" {
		return
	}
	r.pull, r.built = "", ""
	r.replicas[e.Replica] = e.Kind
	r.release[e.Replica] = e.Release
}

func (r *row) pulling(e rhumb.Event) {
	switch {
	case e.Total > 0 && e.Done >= e.Total:
		r.pull = "pulled"
	case e.Total > 0:
		r.pull = fmt.Sprintf("pulling %d%% of %s", e.Done*100/e.Total, Bytes(e.Total))
	default:
		r.pull = "pulling"
	}
}

// count returns the number of replicas whose last event is of one of these kinds.
func (r *row) count(kinds ...rhumb.EventKind) int {
	n := 0
	for _, k := range r.replicas {
		for _, want := range kinds {
			n += btoi(k == want)
		}
	}
	return n
}

// state returns a service's state in words, and whether it is settled.
func (r *row) state(phase rhumb.Phase) (words string, settled bool) {
	ready := r.count(rhumb.EventReady, rhumb.EventCompleted)
	starting := r.count(rhumb.EventStarting, rhumb.EventStarted)
	draining := r.count(rhumb.EventDraining)
	switch {
	case len(r.replicas) == 0 && r.pull != "":
		return r.pull, false
	case len(r.replicas) == 0 && r.built != "":
		return "building " + r.built, false
	case len(r.replicas) == 0:
		return "", ended(phase)
	case starting > 0 && r.job:
		return "running", false
	case starting > 0:
		words = fmt.Sprintf("starting %d/%d", min(ready+starting, max(r.wanted.replicas, 1)), r.wanted.replicas)
	case r.job && ready > 0:
		words = "completed"
	case ready > 0:
		words = fmt.Sprintf("ready %d/%d", ready, max(r.wanted.replicas, ready))
	case r.count(rhumb.EventStopped) > 0 && draining == 0:
		words = "stopped"
	}
	if draining > 0 {
		words = strings.TrimPrefix(fmt.Sprintf("%s, draining %d", words, draining), ", ")
	}
	// The last draining replicas may outlast the deployment.
	settled = starting == 0 && (ended(phase) || draining == 0 && ready >= r.wanted.replicas)
	return words, settled
}

// ended reports whether a deployment has begun and ended.
func ended(p rhumb.Phase) bool { return p != "" && p.Ended() }

var spinner = []string{"⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"}

func (b *block) line(r *row) string {
	words, settled := r.state(b.phase)
	icon := b.paint.cyan(spinner[b.spin%len(spinner)])
	switch {
	case r.failed != "":
		icon, words = b.paint.red("✘"), join(b.paint.red(r.failed), words)
	case words == "" && settled:
		icon, words = b.paint.dim("·"), b.paint.dim("unchanged")
	case words == "":
		icon, words = b.paint.dim("·"), b.paint.dim("waiting"+b.waitsFor(r))
	case settled:
		icon = b.paint.green("✔")
		if r.ended.IsZero() {
			r.ended = b.now()
		}
	default:
		r.ended = time.Time{}
	}
	if r.held != "" {
		words = join(words, b.paint.yellow(r.held))
	}
	took := ""
	if !r.began.IsZero() {
		end := b.now()
		if !r.ended.IsZero() {
			end = r.ended
		}
		took = b.paint.dim(seconds(end.Sub(r.began)))
	}
	return strings.TrimRight(fmt.Sprintf(" %s %-*s  %s  %s", icon, b.nameWidth(), r.name, words, took), " ")
}

// waitsFor returns the dependencies of a service that are still changing, as " for a, b".
func (b *block) waitsFor(r *row) string {
	var names []string
	for _, on := range b.rows {
		if _, settled := on.state(b.phase); slices.Contains(r.after, on.name) && !on.began.IsZero() && !settled {
			names = append(names, on.name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return " for " + strings.Join(names, ", ")
}

func join(a, b string) string {
	switch "" {
	case a:
		return b
	case b:
		return a
	}
	return a + "; " + b
}

func (b *block) nameWidth() int {
	w := 0
	for _, r := range b.rows {
		w = max(w, len(r.name))
	}
	return w
}

func (b *block) head() string {
	what := "preparing " + b.stack
	switch b.phase {
	case rhumb.PhaseRolling:
		what = "changing " + b.stack
	case rhumb.PhaseRollingBack:
		what = b.paint.yellow("putting back " + b.stack)
	case rhumb.PhaseConverged, rhumb.PhaseIncomplete, rhumb.PhasePaused:
		what = b.release()
	case "":
	default:
		what = b.stack
	}
	if b.to != 0 && b.phase == rhumb.PhaseRolling {
		what = "bringing up " + b.release()
	}
	return b.paint.bold(what) + "  " + b.paint.dim(seconds(b.now().Sub(b.began)))
}

func (b *block) release() string {
	if b.to == 0 {
		return b.stack
	}
	return fmt.Sprintf("%s@%d", b.stack, b.to)
}

// draw draws the block over its previous picture.
func (b *block) draw() {
	if b.asking {
		return
	}
	lines := []string{b.head()}
	room := terminal.Height(b.w) - 3
	for i, r := range b.rows {
		if i == room && len(b.rows) > room+1 {
			lines = append(lines, b.paint.dim(fmt.Sprintf("   and %d more", len(b.rows)-i)))
			break
		}
		lines = append(lines, b.line(r))
	}
	cols := terminal.Width(b.w) - 1
	var out strings.Builder
	out.WriteString(b.erase())
	for _, l := range lines {
		out.WriteString(cut(l, cols, b.paint.lead()+"0m") + "\n")
	}
	b.drawn = len(lines)
	b.put(out.String())
}

func (b *block) put(s string) {
	_, _ = io.WriteString(b.w, s) // a terminal that is gone needs no picture
}

func (b *block) erase() string {
	if b.drawn == 0 {
		return ""
	}
	lead := b.paint.lead()
	return fmt.Sprintf("%sG%s%dA%sJ", lead, lead, b.drawn, lead) // the terminal's echo may have moved the cursor
}

// above prints a permanent line above the block.
func (b *block) above(line string) {
	if b.asking {
		return
	}
	b.put(b.erase() + line + "\n")
	b.drawn = 0
}

// Say shows a message of the client.
func (b *block) Say(words string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.above(words)
	b.draw()
}

// Ask draws the block a last time and prints the question below it.
func (b *block) Ask(question string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draw()
	b.put(b.paint.yellow(question) + " ")
	b.drawn, b.asking = 0, true
}

// Answered resumes drawing.
func (b *block) Answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asking = false
}

// Tick turns the spinners.
func (b *block) Tick() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.spin++
	b.draw()
}

// Close draws the block for the last time.
func (b *block) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.draw()
	b.drawn = 0
}

// cut shortens a line to cols columns and ends it with the code plain. Colour codes take no columns.
func cut(line string, cols int, plain string) string {
	seen, esc := 0, false
	for i, c := range line {
		switch {
		case esc:
			esc = c != 'm'
			continue
		case c == '\x1b':
			esc = true
			continue
		}
		if seen++; seen > cols {
			return line[:i] + plain
		}
	}
	return line
}
