package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"rhumb"
)

// What a live page of logs and a download cost at most.
const (
	liveEvery     = 300 * time.Millisecond // lines are sent together
	liveLines     = 200                    // in one message; what comes faster is counted
	downloadLines = 200_000
	downloadBytes = 64 << 20
	downloadTime  = 3 * time.Minute
)

// lineBatch is a message of a live page of logs.
type lineBatch struct {
	HTML    string
	Skipped int    `json:",omitempty"` // lines that came too fast to be shown
	Next    string // where the stream goes on if it breaks
}

// tailLogs sends the lines that are written from now on.
func tailLogs(s *server, r *http.Request, send sender) error {
	from, err := momentOf(r.URL.Query().Get("from"))
	if err != nil {
		return err
	}
	r.URL.RawQuery = strings.TrimPrefix(with(r, "from", "", "to", ""), r.URL.Path+"?")
	f, err := logFilterOf(r, s.now())
	if err != nil {
		return err
	}
	q := f.query()
	q.Follow, q.Since, q.Until = true, from, time.Time{}
	if from.IsZero() {
		q.Since = s.now()
	}
	ctx, cancel := context.WithCancel(r.Context())
	waiting := &backlog{}
	var follower sync.WaitGroup
	defer follower.Wait()
	defer cancel()
	ended := make(chan error, 1)
	follower.Go(func() { ended <- followLines(ctx, s, q, waiting) })
	rows := newLiner(&f)
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return err
		case <-tick.C:
		}
		lines, skipped := waiting.take()
		if len(lines) == 0 {
			continue
		}
		batch := lineBatch{HTML: rowsOf(s, rows, lines), Skipped: skipped, Next: after(lines[len(lines)-1].Time)}
		if err := send("lines", batch); err != nil {
			return err
		}
	}
}

// after returns the moment after a line, as an address has it.
func after(t time.Time) string { return t.Add(time.Nanosecond).UTC().Format(time.RFC3339Nano) }

// followLines collects lines until the context ends, or there are no more.
func followLines(ctx context.Context, s *server, q rhumb.LogQuery, waiting *backlog) error {
	for l, err := range s.Observer.Lines(ctx, q) {
		if err != nil {
			return err
		}
		waiting.put(l)
	}
	return rhumb.Errorf(rhumb.Unavailable, "the stream of lines has ended")
}

// rowsOf returns lines as the page shows them.
func rowsOf(s *server, n *liner, lines []rhumb.LogLine) string {
	var b bytes.Buffer
	n.budget = pageBytes
	for i := range lines {
		for _, row := range n.rows(&lines[i]) {
			if err := s.screens["logs.html"].ExecuteTemplate(&b, "logrow", row); err != nil {
				s.Log.Error("line not rendered", "err", err)
			}
		}
	}
	return string(visible(b.Bytes()))
}

// backlog holds lines until they are sent.
type backlog struct {
	mu      sync.Mutex
	lines   []rhumb.LogLine
	skipped int
}

// put adds a line, in place of the oldest if there are too many.
func (b *backlog) put(l rhumb.LogLine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lines = append(b.lines, l); len(b.lines) > liveLines {
		b.lines = b.lines[1:]
		b.skipped++
	}
}

func (b *backlog) take() (lines []rhumb.LogLine, skipped int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	lines, skipped = b.lines, b.skipped
	b.lines, b.skipped = nil, 0
	return lines, skipped
}

// downloadLogs sends the lines of a filter as text, one after the other.
func downloadLogs(s *server, w http.ResponseWriter, r *http.Request) {
	f, err := logFilterOf(r, s.now())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		s.fail(w, r, rhumb.Errorf(rhumb.Unavailable, "too many downloads at a time").WithHint("try again in a moment"))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), downloadTime)
	defer cancel()
	c := http.NewResponseController(w)
	lines, bytes := 0, 0
	for l, err := range s.Observer.Lines(ctx, f.query()) {
		if err != nil {
			failDownload(s, w, r, lines, err)
			return
		}
		if lines == 0 {
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("Content-Disposition", `attachment; filename="`+fileName(f)+`"`)
		}
		if lines%1000 == 0 {
			_ = c.SetWriteDeadline(time.Now().Add(writeTime)) // see guarded
		}
		n, err := fmt.Fprintln(w, textOf(&l))
		if err != nil {
			return
		}
		lines, bytes = lines+1, bytes+n
		if lines >= downloadLines || bytes >= downloadBytes {
			fmt.Fprintf(w, "# cut here, after %d lines; rhumb logs has all of them\n", lines)
			return
		}
	}
	if lines == 0 {
		s.fail(w, r, rhumb.Errorf(rhumb.NotFound, "there are no such lines"))
	}
}

// failDownload reports an error in place of the text, or at its end.
func failDownload(s *server, w http.ResponseWriter, r *http.Request, lines int, err error) {
	if lines == 0 {
		s.fail(w, r, err)
		return
	}
	fmt.Fprintf(w, "# not complete: %s\n", problem(err))
}

// textOf returns a line as text: time, writer, level, and what was written.
func textOf(l *rhumb.LogLine) string {
	parts := []string{l.Time.UTC().Format("2006-01-02T15:04:05.000Z"), l.Stack + "/" + writerOf(l, false)}
	if l.Level > 0 {
		parts = append(parts, strings.ToUpper(l.Level.String()))
	}
	return string(visible([]byte(strings.Join(append(parts, plain(l.Text)), " "))))
}

// fileName returns a name for a download, in characters that every file system takes.
func fileName(f logFilter) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, f.Stack)
	return cut(40, "logs-"+name) + f.From.UTC().Format("-20060102-150405") + ".txt"
}
