package observed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/observe"
	"rhumb/observe/observefake"
)

// fullStore takes two lines of each call.
type fullStore struct {
	*observefake.Store
	err error
}

func (s fullStore) Append(ctx context.Context, lines []rhumb.LogLine) (int, error) {
	if len(lines) <= 2 {
		return s.Store.Append(ctx, lines)
	}
	n, err := s.Store.Append(ctx, lines[:2])
	return n, errors.Join(err, s.err)
}

func (s fullStore) Sync(context.Context, ...string) error { return s.err }

// taken is an outlet that keeps the texts of what it takes.
type taken struct {
	texts []string
	syncs int
	err   error
}

func (o *taken) Append(lines []rhumb.LogLine) {
	for _, l := range lines {
		o.texts = append(o.texts, l.Text)
	}
}

func (o *taken) Sync(context.Context) error {
	o.syncs++
	return o.err
}

func (o *taken) Status() []rhumb.LogDestination { return nil }

func numbered(n int) (lines []rhumb.LogLine) {
	for i := range n {
		lines = append(lines, rhumb.LogLine{Time: time.Unix(int64(1e9+i), 0).UTC(), Stack: "shop", Service: "web",
			Replica: "shop-web.1.1", Container: "c", Text: fmt.Sprintf("line %d", i)})
	}
	return lines
}

func TestALineIsForwardedIfTheStoreTookIt(t *testing.T) {
	full, away := errors.New("the disk is full"), errors.New("no queue")
	store, out := fullStore{observefake.New(), full}, &taken{err: away}
	s := sink{store, out}
	lines := numbered(3)
	if n, err := s.Append(t.Context(), lines); n != 2 || !errors.Is(err, full) {
		t.Errorf("Append: %d, %v", n, err)
	}
	if n, err := s.Append(t.Context(), lines[2:]); n != 1 || err != nil {
		t.Errorf("Append of the rest: %d, %v", n, err)
	}
	s.Drop("shop", "web", 1, 5)
	if want := []string{"line 0", "line 1", "line 2"}; !reflect.DeepEqual(out.texts, want) {
		t.Errorf("forwarded are %q, want %q", out.texts, want)
	}
	var kept int
	count := func(rhumb.LogLine) bool {
		kept++
		return true
	}
	if err := s.Since(t.Context(), "c", time.Time{}, count); err != nil || kept != 3 {
		t.Errorf("kept are %d, %v", kept, err)
	}
	if err := s.Sync(t.Context()); !errors.Is(err, full) || !errors.Is(err, away) || out.syncs != 1 {
		t.Errorf("Sync: %v, %d", err, out.syncs)
	}
}

func TestTheForwarderOutlivesTheCollector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sending atomic.Bool
		failed := errors.New("positions not stored")
		part := outlive(func(ctx context.Context) error {
			<-ctx.Done()
			time.Sleep(time.Second) // the collector stores its positions
			if !sending.Load() {
				t.Error("the forwarder has ended before the collector")
			}
			return failed
		}, func(ctx context.Context) error {
			sending.Store(true)
			<-ctx.Done()
			time.Sleep(time.Second)
			sending.Store(false)
			return nil
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := part(ctx); !errors.Is(err, failed) || sending.Load() {
			t.Errorf("it ends with %v, and the forwarder runs: %v", err, sending.Load())
		}
	})
}

// writer is a collector whose container has written some lines.
type writer struct {
	sink  observe.Sink
	lines []rhumb.LogLine
}

func (w writer) Run(ctx context.Context) error {
	if n, err := w.sink.Append(ctx, w.lines); err != nil {
		return fmt.Errorf("%d lines taken: %w", n, err)
	}
	<-ctx.Done()
	return w.sink.Sync(context.WithoutCancel(ctx))
}

func (w writer) Drained(context.Context, string) error { return nil }

func TestKeptLinesArriveAtASyslogReceiver(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if err := ln.(*net.TCPListener).SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	lines := numbered(50)
	for i := range lines {
		lines[i].Time = time.Now().UTC()
	}
	dir := t.TempDir()
	o := Options{State: filepath.Join(dir, "observe"), Socket: filepath.Join(dir, "s"), Version: "v1",
		Forward: []string{"syslog://" + ln.Addr().String()}, Log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- run(ctx, o, func(_ Options, s observe.Sink) (collector, func(), error) {
			return writer{s, lines}, func() {}, nil
		})
	}()
	for got := 0; got < len(lines); {
		for _, message := range syslogMessages(t, ln) {
			if want := lines[got].Text; !strings.Contains(message, " shop-web shop-web.1.1 ") ||
				!strings.HasSuffix(message, want) {
				t.Errorf("message %d is %q, want %q at its end", got, message, want)
			}
			got++
		}
	}
	l := link.Dial(o.Socket)
	var all []rhumb.LogDestination
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if all, err = l.LogDestinations(t.Context()); err == nil && len(all) == 1 && all[0].Sent == 50 {
			break
		}
	}
	want := []rhumb.LogDestination{{URL: o.Forward[0], Sent: 50}}
	if err != nil || !reflect.DeepEqual(all, want) {
		t.Errorf("the destinations are %+v, %v; want %+v", all, err, want)
	}
	counts, err := l.LogCounts(t.Context(), rhumb.LogQuery{Stack: "shop"})
	if err != nil || len(counts) != 1 || counts[0].Lines != 50 {
		t.Errorf("kept are %+v, %v", counts, err)
	}
	stop()
	if err := <-done; err != nil {
		t.Errorf("it ends with %v", err)
	}
}

// syslogMessages accepts a connection and returns the messages on it, which are framed by octet counting.
func syslogMessages(t *testing.T, ln net.Listener) (messages []string) {
	t.Helper()
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for r := bufio.NewReader(conn); ; {
		var size int
		if _, err := fmt.Fscanf(r, "%d ", &size); errors.Is(err, io.EOF) {
			return messages
		} else if err != nil {
			t.Fatal(err)
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(r, message); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, string(message))
	}
}

func TestADestinationThatCannotBeIsAnError(t *testing.T) {
	dir := t.TempDir()
	o := Options{State: filepath.Join(dir, "observe"), Socket: filepath.Join(dir, "s"),
		Forward: []string{"smtp://example.com"}, Log: slog.New(slog.DiscardHandler)}
	if err := Run(t.Context(), o); rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), "smtp") {
		t.Errorf("it ends with %v", err)
	}
}
