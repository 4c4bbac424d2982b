package forward

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/observe/forward/internal/protocol"
)

// fakeSender answers as the test says, and keeps what it has taken.
type fakeSender struct {
	answer func(try int, lines []protocol.Line) protocol.Result
	tries  []time.Time
	taken  []string
}

func (s *fakeSender) Send(_ context.Context, lines []protocol.Line) protocol.Result {
	s.tries = append(s.tries, time.Now())
	r := protocol.Result{}
	if s.answer != nil {
		r = s.answer(len(s.tries), lines)
	}
	for _, l := range lines[:len(lines)-len(r.Left)-r.Refused] {
		s.taken = append(s.taken, l.Text)
	}
	return r
}

func (s *fakeSender) Close() {}

// quiet is a logger that keeps the tests' output short.
var quiet = slog.New(slog.DiscardHandler)

// faked returns a Forwarder with one destination that sends to s.
func faked(t *testing.T, dir string, s protocol.Sender) *Forwarder {
	t.Helper()
	f, err := New(Options{Dir: dir, URLs: []string{"syslog://host"}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	f.destinations[0].sender = s
	return f
}

// during runs a Forwarder while do runs.
func during(t *testing.T, f *Forwarder, do func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	do()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func numbered(from, n int) (lines []rhumb.LogLine) {
	for i := range n {
		lines = append(lines, rhumb.LogLine{Text: fmt.Sprint(from + i), Time: time.Unix(0, int64(i))})
	}
	return lines
}

var errAway = errors.New("the receiver is away")

func TestARetryWaitsLongerEachTimeAndAMinuteAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{answer: func(try int, lines []protocol.Line) protocol.Result {
			if try <= 15 {
				return protocol.Result{Left: lines, Err: errAway}
			}
			return protocol.Result{}
		}}
		f := faked(t, t.TempDir(), s)
		during(t, f, func() {
			f.Append(numbered(0, 5))
			time.Sleep(4 * time.Minute)
			st := f.Status()[0]
			if st.FailingSince.IsZero() || st.LastError != errAway.Error() || st.WaitingLines != 5 {
				t.Errorf("while failing: %+v", st)
			}
			if since := time.Since(st.LastErrorAt); since <= 0 || since > maxPause {
				t.Errorf("the last error was %s ago", since)
			}
			time.Sleep(10 * time.Minute)
			if st := f.Status()[0]; !st.FailingSince.IsZero() || st.Sent != 5 || st.Lost != 0 || st.WaitingLines != 0 {
				t.Errorf("afterwards: %+v", st)
			}
		})
		for i := 1; i < len(s.tries); i++ {
			want := min(time.Minute, firstPause<<(i-1))
			if d := s.tries[i].Sub(s.tries[i-1]); d < want/2 || d > want {
				t.Errorf("pause %d is %v, want %v to %v", i, d, want/2, want)
			}
		}
		if len(s.tries) != 16 || !slices.Equal(s.taken, []string{"0", "1", "2", "3", "4"}) {
			t.Errorf("%d tries, taken %v", len(s.tries), s.taken)
		}
	})
}

func TestAReceiversRetryAfterIsHonoured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{answer: func(try int, lines []protocol.Line) protocol.Result {
			if try == 1 {
				return protocol.Result{Left: lines, Err: errAway, After: 5 * time.Minute}
			}
			return protocol.Result{}
		}}
		f := faked(t, t.TempDir(), s)
		during(t, f, func() {
			f.Append(numbered(0, 1))
			time.Sleep(10 * time.Minute)
		})
		if len(s.tries) != 2 || s.tries[1].Sub(s.tries[0]) != 5*time.Minute {
			t.Errorf("tries at %v, want two, five minutes apart", s.tries)
		}
	})
}

func TestOnlyLinesThatAreLeftAreSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &fakeSender{answer: func(try int, lines []protocol.Line) protocol.Result {
			if try == 1 { // three are taken, two refused, the others wait
				return protocol.Result{Left: lines[5:], Refused: 2, Err: errAway}
			}
			return protocol.Result{}
		}}
		f := faked(t, t.TempDir(), s)
		during(t, f, func() {
			f.Append(numbered(0, 10))
			time.Sleep(time.Minute)
			if st := f.Status()[0]; st.Sent != 8 || st.Lost != 2 || st.WaitingLines != 0 {
				t.Errorf("%+v, want 8 sent and 2 lost", st)
			}
		})
		if want := []string{"0", "1", "2", "5", "6", "7", "8", "9"}; !slices.Equal(s.taken, want) {
			t.Errorf("taken %v, want %v", s.taken, want)
		}
	})
}

func TestLinesWaitOnDiskFromOneRunToTheNext(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := faked(t, dir, &fakeSender{answer: func(_ int, lines []protocol.Line) protocol.Result {
			return protocol.Result{Left: lines, Err: errAway}
		}})
		f.Append(numbered(0, 3)) // before Run
		during(t, f, func() {
			f.Append(numbered(3, 3))
			time.Sleep(time.Minute)
			f.Append(numbered(6, 3)) // right before the end
		})
		f.Append(numbered(100, 1))
		if st := f.Status()[0]; st.WaitingLines != 9 || st.Lost != 1 {
			t.Errorf("%+v, want 9 queued, and 1 lost: it was appended after the end", st)
		}
		s := &fakeSender{}
		f = faked(t, dir, s)
		during(t, f, func() { time.Sleep(time.Minute) })
		if want := []string{"0", "1", "2", "3", "4", "5", "6", "7", "8"}; !slices.Equal(s.taken, want) {
			t.Errorf("taken %v, want %v", s.taken, want)
		}
	})
}

func TestAppendNeverBlocksAndCountsWhatDoesNotFit(t *testing.T) {
	f := faked(t, t.TempDir(), &fakeSender{})
	big := rhumb.LogLine{Text: strings.Repeat("x", 1<<20)}
	for range 20 {
		f.Append([]rhumb.LogLine{big})
	}
	if st := f.Status()[0]; st.Lost != 13 {
		t.Errorf("%d of 20 MB are lost with 8 MB of room, want 13 lines", st.Lost)
	}
}

func TestSyncMeansOnDisk(t *testing.T) {
	dir := t.TempDir()
	f := faked(t, dir, &fakeSender{answer: func(_ int, lines []protocol.Line) protocol.Result {
		return protocol.Result{Left: lines, Err: errAway}
	}})
	during(t, f, func() {
		f.Append(numbered(0, 10))
		if err := f.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := f.Status()[0]; st.WaitingLines != 10 || st.WaitingBytes == 0 {
			t.Errorf("%+v, want 10 lines on disk", st)
		}
	})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.Sync(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("without Run: %v", err)
	}
}

func TestDestinationsThatCannotBeAreRefused(t *testing.T) {
	for _, c := range []struct {
		urls  []string
		wrong string
	}{
		{[]string{"kafka://h"}, "unknown scheme"},
		{[]string{"gelf://h", "gelf://h:12201"}, "configured twice"},
		{[]string{"syslog+tls://h?ca=/no/such"}, "no such file"},
	} {
		_, err := New(Options{Dir: t.TempDir(), URLs: c.urls, Log: quiet})
		if rhumb.ErrorCode(err) != rhumb.Invalid || !strings.Contains(err.Error(), c.wrong) || rhumb.ErrorHint(err) == "" {
			t.Errorf("%v: %v, want %q", c.urls, err, c.wrong)
		}
	}
	if err := CheckURLs("syslog+tls://h?ca=/no/such"); err != nil {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(Options{Dir: file, URLs: []string{"gelf://h"}, Log: quiet}); rhumb.ErrorCode(err) != rhumb.Internal {
		t.Errorf("a queue below a file: %v", err)
	}
}

func TestUDPSendsAPacketForEachLine(t *testing.T) {
	for _, scheme := range []string{"syslog+udp", "gelf+udp"} {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		f, err := New(Options{Dir: t.TempDir(), URLs: []string{scheme + "://" + conn.LocalAddr().String()}, Log: quiet})
		if err != nil {
			t.Fatal(err)
		}
		during(t, f, func() {
			f.Append(numbered(0, 20))
			b := make([]byte, 9000)
			conn.SetReadDeadline(time.Now().Add(20 * time.Second))
			for range 20 {
				if n, _, err := conn.ReadFrom(b); err != nil || n < 20 {
					t.Fatalf("%s: %d bytes, %v", scheme, n, err)
				}
			}
		})
	}
}

func TestEveryLineComesOutOfTheQueueAsItWentIn(t *testing.T) {
	for _, l := range []rhumb.LogLine{
		{Time: time.Unix(0, 0).UTC()},
		{Time: time.Date(1969, 1, 2, 3, 4, 5, 6, time.UTC), Stack: "s", Service: "v", Replica: "r", Stderr: true,
			Text: "\x00\xff\x1b[31m", Container: "c", Release: 1 << 40, Kind: rhumb.LineAccess, Level: rhumb.LevelFatal,
			Fields: map[string]string{"": "", "a": "b\xff"}, Cut: 9},
		{Time: time.Time{}, Release: -1, Level: -3, Text: strings.Repeat("x", 1<<20)},
	} {
		b := appendLine(nil, l)
		got, err := decodeLine(b)
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, l)
		}
		for cut := range min(len(b), 100) {
			if _, err := decodeLine(b[:cut]); err == nil {
				t.Errorf("%d of %d bytes are a line", cut, len(b))
			}
		}
	}
	v := reflect.TypeFor[rhumb.LogLine]()
	if v.NumField() != 12 {
		t.Errorf("LogLine has %d fields: does appendLine write them all?", v.NumField())
	}
}

func FuzzDecodeLine(f *testing.F) {
	f.Add(appendLine(nil, rhumb.LogLine{Text: "x", Fields: map[string]string{"a": "b"}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := decodeLine(b)
		if err != nil {
			return
		}
		if again, err := decodeLine(appendLine(nil, l)); err != nil || !reflect.DeepEqual(again, l) {
			t.Errorf("%+v comes out as %+v, %v", l, again, err)
		}
	})
}
