package docker_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
)

func TestABigLogIsReadWhole(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	const n = 50_000
	start(t, e, spec(t, stack, "web", 1, "lines", fmt.Sprint(n), "long", "300000"))
	r := exited(t, e, stack)
	begun := time.Now()
	ls := lines(t, e, r.ID)
	t.Logf("%d lines in %v", len(ls), time.Since(begun))
	if len(ls) != n+2 || ls[0] != "line 0" || ls[n-1] != fmt.Sprintf("line %d", n-1) || len(ls[n]) != 256<<10 ||
		len(ls[n])+len(ls[n+1]) != 300_000 {
		t.Errorf("%d lines; the last two have %d and %d bytes", len(ls), len(ls[len(ls)-2]), len(ls[len(ls)-1]))
	}
}

func TestATerminalsLogHasItsLines(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	s := spec(t, stack, "web", 1, "print", "one", "long", "40000", "err", "three")
	s.Container.TTY = true
	start(t, e, s)
	ls := lines(t, e, exited(t, e, stack).ID)
	if len(ls) != 3 || ls[0] != "one" || ls[1] != strings.Repeat("x", 40000) || ls[2] != "three" {
		t.Errorf("%d lines: %.100q", len(ls), ls)
	}
}

func TestATerminalIsResized(t *testing.T) {
	e := need(t)
	r := start(t, e, spec(t, stackName(t), "web", 1))
	sizes := make(chan rhumb.Size, 2)
	var out lockedBuffer
	go func() {
		for i := uint16(0); ; i++ { // until the program listens for it
			select {
			case sizes <- rhumb.Size{Rows: 30 + i%2, Cols: 100}:
			case <-t.Context().Done():
				return
			}
			time.Sleep(50 * time.Millisecond)
			if strings.Contains(out.String(), "x100") {
				sizes <- rhumb.Size{Rows: 40, Cols: 120}
				return
			}
		}
	}()
	code, err := e.Exec(t.Context(), r.ID, rhumb.ExecOptions{Command: []string{"/app", "size"}, TTY: true,
		Streams: rhumb.Streams{In: eternal{t.Context()}, Out: &out, Resize: sizes}})
	if err != nil || code != 0 || !strings.Contains(out.String(), "40x120") {
		t.Errorf("%d, %v, %q", code, err, out.String())
	}
}

// eternal is an input that never comes.
type eternal struct{ ctx context.Context }

func (r eternal) Read([]byte) (int, error) {
	<-r.ctx.Done()
	return 0, io.EOF
}

// lockedBuffer is a buffer that two goroutines may use.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAOneOffWhoseCallerLeavesIsRemoved(t *testing.T) {
	e := need(t)
	stack := stackName(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := spec(t, stack, "web", 0, "ignore", "print", "up", "sleep", "1h")
	s.OneOff, s.Container.TTY = "gone", true
	out := &lockedBuffer{}
	go func() {
		for ctx.Err() == nil {
			if strings.Contains(out.String(), "up") {
				cancel()
			}
			time.Sleep(10 * time.Millisecond)
		}
	}()
	_, err := e.Run(ctx, s, rhumb.Streams{Out: out})
	if rhumb.ErrorCode(err) != rhumb.Cancelled {
		t.Errorf("error: %v", err)
	}
	if rs, err := e.Replicas(t.Context(), stack); err != nil || len(rs) != 0 {
		t.Errorf("left: %+v, %v", rs, err)
	}
}
