package enginetest

import (
	"bytes"
	"context"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"rhumb"
)

var streamTests = map[string]func(*bench){
	"logs come oldest first, with their stream and time": func(b *bench) {
		begun := time.Now().Add(-time.Minute)
		r := b.exited(b.start(b.spec("web", "print", "one", "sleep", "20ms", "err", "two", "sleep", "20ms",
			"print", "three")).ID)
		ls := b.lines(r.ID, rhumb.LogOptions{})
		if !slices.Equal(texts(ls), []string{"one", "two", "three"}) {
			b.Fatalf("lines: %q", texts(ls))
		}
		for i, l := range ls {
			if l.Stderr != (i == 1) || l.Stack != b.stack || l.Service != "web" || l.Replica != r.Name() ||
				l.Time.Before(begun) || i > 0 && l.Time.Before(ls[i-1].Time) {
				b.Errorf("line: %+v", l)
			}
		}
	},
	"logs can be chosen by number and time": func(b *bench) {
		r := b.exited(b.start(b.spec("web", "print", "one", "sleep", "20ms", "print", "two", "sleep", "20ms",
			"print", "three")).ID)
		all := b.lines(r.ID, rhumb.LogOptions{})
		if len(all) != 3 {
			b.Fatalf("lines: %q", texts(all))
		}
		for _, c := range []struct {
			o    rhumb.LogOptions
			want []string
		}{
			{rhumb.LogOptions{Tail: 2}, []string{"two", "three"}},
			{rhumb.LogOptions{Tail: 9}, []string{"one", "two", "three"}},
			{rhumb.LogOptions{Tail: -1}, nil},
			{rhumb.LogOptions{Since: all[1].Time}, []string{"two", "three"}},
			{rhumb.LogOptions{Until: all[1].Time}, []string{"one", "two"}},
		} {
			if got := texts(b.lines(r.ID, c.o)); !slices.Equal(got, c.want) {
				b.Errorf("%+v: %q, want %q", c.o, got, c.want)
			}
		}
	},
	"followed logs end with the replica": func(b *bench) {
		r := b.start(b.spec("web", "print", "one", "sleep", "300ms", "print", "two", "exit", "0"))
		if got := texts(b.lines(r.ID, rhumb.LogOptions{Follow: true})); !slices.Equal(got, []string{"one", "two"}) {
			b.Errorf("lines: %q", got)
		}
		if r = b.exited(r.ID); r.ExitCode != 0 {
			b.Errorf("exit code %d", r.ExitCode)
		}
	},
	"followed logs end with their context": func(b *bench) {
		r := b.start(b.spec("web", "print", "one", "sleep", "1h"))
		ctx, cancel := context.WithTimeout(b.ctx(), time.Second)
		defer cancel()
		n := 0
		for _, err := range reader(b).Logs(ctx, r.ID, rhumb.LogOptions{Follow: true}) {
			if err == nil {
				n++
			}
		}
		if n != 1 || ctx.Err() == nil {
			b.Errorf("%d lines, context: %v", n, ctx.Err())
		}
	},
	"a reader may stop before the end of the logs": func(b *bench) {
		r := b.start(b.spec("web", "print", "one", "print", "two", "sleep", "1h"))
		b.waitLine(r.ID, "two")
		for l, err := range reader(b).Logs(b.ctx(), r.ID, rhumb.LogOptions{Follow: true}) {
			if err != nil || l.Text != "one" {
				b.Errorf("first line: %+v, %v", l, err)
			}
			break
		}
	},
	"logs of what is not there are not found": func(b *bench) {
		for _, err := range reader(b).Logs(b.ctx(), "nosuchreplica", rhumb.LogOptions{}) {
			b.is(err, rhumb.NotFound)
			return
		}
		b.Error("no error")
	},
	"a command in a replica has its output and exit code": func(b *bench) {
		r := b.start(b.spec("web"))
		var out, errs bytes.Buffer
		code, err := commands(b).Exec(b.ctx(), r.ID, rhumb.ExecOptions{
			Command: []string{"/app", "print", "one", "err", "two", "env", "K", "exit", "7"}, Env: []string{"K=three"},
			Streams: rhumb.Streams{Out: &out, Err: &errs},
		})
		if err != nil || code != 7 || out.String() != "one\nthree\n" || errs.String() != "two\n" {
			b.Errorf("%d, %v, out %q, err %q", code, err, out.String(), errs.String())
		}
	},
	"a command in a replica reads its input to the end": func(b *bench) {
		r := b.start(b.spec("web"))
		var out bytes.Buffer
		text := strings.Repeat("a line of input\n", 5000)
		code, err := commands(b).Exec(b.ctx(), r.ID, rhumb.ExecOptions{
			Command: []string{"/app", "copy"}, Streams: rhumb.Streams{In: strings.NewReader(text), Out: &out},
		})
		if err != nil || code != 0 || out.String() != text {
			b.Errorf("%d, %v, %d of %d bytes", code, err, out.Len(), len(text))
		}
	},
	"a command needs a replica that runs": func(b *bench) {
		_, err := commands(b).Exec(b.ctx(), "nosuchreplica", rhumb.ExecOptions{Command: []string{"/app", "exit", "0"}})
		b.is(err, rhumb.NotFound)
		r := b.exited(b.start(b.spec("web", "exit", "0")).ID)
		_, err = commands(b).Exec(b.ctx(), r.ID, rhumb.ExecOptions{Command: []string{"/app", "exit", "0"}})
		b.is(err, rhumb.Conflict)
	},
	"a one-off has its output and exit code, and is removed": func(b *bench) {
		s := b.spec("web", "print", "one", "err", "two", "exit", "5")
		s.OneOff = "abc"
		var out, errs bytes.Buffer
		code, err := commands(b).Run(b.ctx(), s, rhumb.Streams{Out: &out, Err: &errs})
		if err != nil || code != 5 || out.String() != "one\n" || errs.String() != "two\n" {
			b.Errorf("%d, %v, out %q, err %q", code, err, out.String(), errs.String())
		}
		b.nothing()
	},
	"a one-off's nameless volumes are not the stack's": func(b *bench) {
		s := b.specOf("web", rhumb.Container{Command: []string{"exit", "0"},
			Mounts: []rhumb.Mount{{Type: rhumb.MountVolume, Target: "/x"}}})
		s.OneOff = "abc"
		_, err := commands(b).Run(b.ctx(), s, rhumb.Streams{})
		b.ok(err)
		if h := b.holdings(); len(h.Volumes) != 0 {
			b.Errorf("volumes: %v", h.Volumes)
		}
	},
	"a one-off reads its input to the end": func(b *bench) {
		s := b.spec("web", "copy")
		s.OneOff = "abc"
		var out bytes.Buffer
		code, err := commands(b).Run(b.ctx(), s, rhumb.Streams{In: strings.NewReader("some input"), Out: &out})
		if err != nil || code != 0 || out.String() != "some input" {
			b.Errorf("%d, %v, %q", code, err, out.String())
		}
	},
	"a signal is passed on to a one-off": func(b *bench) {
		s := b.spec("web", "trap", "sleep", "59m")
		s.OneOff = "abc"
		ctx, cancel := context.WithTimeout(b.ctx(), 30*time.Second)
		defer cancel()
		signals, ended := make(chan os.Signal), make(chan struct{})
		go func() {
			for { // it may not listen yet
				select {
				case signals <- syscall.SIGTERM:
				case <-ended:
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
		}()
		code, err := commands(b).Run(ctx, s, rhumb.Streams{Signals: signals})
		close(ended)
		if err != nil || code != 0 {
			b.Errorf("%d, %v", code, err)
		}
		b.nothing()
	},
	"a one-off that can't be started is an error": func(b *bench) {
		s := b.specOf("web", rhumb.Container{Entrypoint: []string{"/no/such/program"}})
		s.OneOff = "abc"
		_, err := commands(b).Run(b.ctx(), s, rhumb.Streams{})
		b.is(err, rhumb.Invalid)
		b.nothing()
	},
}

// lines reads logs.
func (b *bench) lines(id string, o rhumb.LogOptions) []rhumb.LogLine {
	b.Helper()
	var ls []rhumb.LogLine
	for l, err := range reader(b).Logs(b.ctx(), id, o) {
		b.ok(err)
		ls = append(ls, l)
	}
	return ls
}

// waitLine waits until a replica has written a line.
func (b *bench) waitLine(id, text string) {
	b.Helper()
	b.within(20*time.Second, "line "+text, func() bool {
		return slices.Contains(texts(b.lines(id, rhumb.LogOptions{})), text)
	})
}

func texts(ls []rhumb.LogLine) []string {
	var ts []string
	for _, l := range ls {
		ts = append(ts, l.Text)
	}
	return ts
}
