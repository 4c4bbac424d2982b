package enginetest

import (
	"os"
	"strings"
	"time"

	"rhumb"
)

var writerTests = map[string]func(*bench){
	"writers are all replicas, dead ones too until they are removed": func(b *bench) {
		begun := time.Now().Add(-time.Minute)
		alive := b.start(b.spec("web"))
		s := b.spec("job", "print", "done", "exit", "3")
		s.Release = 7
		dead := b.exited(b.start(s).ID)
		w := findWriter(b, alive.ID)
		want := rhumb.LogLine{Stack: b.stack, Service: "web", Replica: alive.Name(), Container: alive.ID, Release: 1}
		if !sameLine(w.Line, want) || w.Started.Before(begun) || !w.Finished.IsZero() || w.TTY {
			b.Errorf("the running one: %+v", w)
		}
		w = findWriter(b, dead.ID)
		want = rhumb.LogLine{Stack: b.stack, Service: "job", Replica: dead.Name(), Container: dead.ID, Release: 7}
		if !sameLine(w.Line, want) || w.Started.Before(begun) || w.Finished.Before(begun) {
			b.Errorf("the dead one: %+v", w)
		}
		b.ok(b.Stop(b.ctx(), alive.ID))
		b.within(20*time.Second, "the stopped one has finished", func() bool {
			w := findWriter(b, alive.ID)
			return w.Line.Container != "" && !w.Finished.IsZero()
		})
		b.ok(b.Remove(b.ctx(), dead.ID))
		if w := findWriter(b, dead.ID); w.Line.Container != "" {
			b.Errorf("the removed one: %+v", w)
		}
	},
	"a one-off is a writer while it runs": func(b *bench) {
		s := b.spec("web", "print", "one", "sleep", "2s", "exit", "0")
		s.OneOff = "abc"
		ended := make(chan error, 1)
		go func() {
			_, err := commands(b).Run(b.ctx(), s, rhumb.Streams{})
			ended <- err
		}()
		b.within(20*time.Second, "the one-off is listed", func() bool {
			for _, w := range listWriters(b) {
				if w.Line.Replica == s.Name() && !w.Started.IsZero() {
					return w.Line.Service == "web" && w.Line.Release == 1
				}
			}
			return false
		})
		b.ok(<-ended)
		if ws := listWriters(b); len(ws) != 0 {
			b.Errorf("left: %+v", ws)
		}
	},
	"a writer with a terminal says so": func(b *bench) {
		r := b.start(b.specOf("web", rhumb.Container{TTY: true}))
		if w := findWriter(b, r.ID); !w.TTY {
			b.Errorf("writer: %+v", w)
		}
	},
	"the file of a writer has its lines": func(b *bench) {
		r := b.exited(b.start(b.spec("web", "print", "one", "err", "two", "exit", "0")).ID)
		w := findWriter(b, r.ID)
		if w.File == "" {
			b.Skip("the engine keeps no files on this machine")
		}
		text, err := os.ReadFile(w.File)
		if err != nil || !strings.Contains(string(text), `{"log":"one\n","stream":"stdout","time":"`) ||
			!strings.Contains(string(text), `{"log":"two\n","stream":"stderr","time":"`) {
			b.Errorf("%q, %v", text, err)
		}
	},
}

// listWriters lists the writers of the test's stack.
func listWriters(b *bench) []rhumb.LogWriter {
	b.Helper()
	all, err := writers(b).Writers(b.ctx())
	b.ok(err)
	var mine []rhumb.LogWriter
	for _, w := range all {
		if w.Line.Stack == b.stack {
			mine = append(mine, w)
		}
	}
	return mine
}

// findWriter returns the writer of an ID; the zero one if it is not listed.
func findWriter(b *bench, id string) rhumb.LogWriter {
	b.Helper()
	for _, w := range listWriters(b) {
		if w.Line.Container == id {
			return w
		}
	}
	return rhumb.LogWriter{}
}

// sameLine compares what all lines of a writer have.
func sameLine(a, b rhumb.LogLine) bool {
	return a.Stack == b.Stack && a.Service == b.Service && a.Replica == b.Replica && a.Container == b.Container &&
		a.Release == b.Release && a.Text == "" && a.Fields == nil
}
