package main

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"rhumb"
	"rhumb/httpapi"
	"rhumb/observe/observefake"
)

// servicesOf returns all that a stage offers.
func servicesOf(s *stage) httpapi.Services {
	all := httpapi.All(s)
	all.Observer, all.Forwarding = s, s
	all.Metrics, all.Alerts, all.Explainer, all.Dashboard, all.Bans = s, s, s, s, s
	return all
}

// kept is the stage's observer. At first it keeps no logs.
type kept struct {
	mu    sync.Mutex
	err   error // of every call
	after int   // how many lines are sent before err
	store *observefake.Store
	sends []rhumb.LogDestination
}

func newKept() *kept {
	k := &kept{store: observefake.New(), err: rhumb.Errorf(rhumb.Unsupported, "this server doesn't offer kept logs")}
	at := func(seconds int) time.Time { return hoursAgo(4).Add(time.Duration(seconds) * time.Second) }
	line := func(t time.Time, service string, release int, l rhumb.LogLine) rhumb.LogLine {
		l.Time, l.Stack, l.Service, l.Release = t, "shop", service, release
		l.Replica, l.Container = rhumb.ReplicaName("shop", service, release, 1), service+"0123456789"
		return l
	}
	lines := []rhumb.LogLine{
		line(at(0), "web", 40, rhumb.LogLine{Text: "old one"}),
		line(at(1), "web", 40, rhumb.LogLine{Text: "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2Jtext", Stderr: true}),
		line(at(2), "db", 40, rhumb.LogLine{Text: "ready"}),
		line(at(3), "web", 40, rhumb.LogLine{Text: "Traceback:\n  KeyError", Level: rhumb.LevelError, Stderr: true}),
		line(at(4), "web", 40, rhumb.LogLine{Text: "one"}),
		line(at(5), "web", 40, rhumb.LogLine{Text: "two"}),
		line(at(6), "web", 40, rhumb.LogLine{Text: "three"}),
		line(at(7), "web", 40, rhumb.LogLine{Text: "old two"}),
		line(hoursAgo(2), "web", 41, rhumb.LogLine{Text: "bytes \xff\x00", Level: rhumb.LevelWarn}),
		{Time: hoursAgo(1), Stack: "shop", Service: "web", Kind: rhumb.LineAccess, Text: "GET / 200", Cut: 5000},
	}
	lines = append(lines, ownLines()...)
	if n, err := k.store.Append(context.Background(), lines); n != len(lines) || err != nil {
		panic(errors.Join(err, errors.New("lines not taken")))
	}
	k.store.Drop("shop", "db", 40, 7)
	return k
}

// ownLines are lines that rhumb has written.
func ownLines() []rhumb.LogLine {
	access := rhumb.LogLine{Time: hoursAgo(1).Add(time.Second), Stack: "shop", Service: "web", Release: 41,
		Replica: "shop-web.41.1", Container: "rhumb:access", Kind: rhumb.LineAccess, Level: rhumb.LevelError,
		Text: `{"method":"GET","path":"/cart?a=\u001b"}`}
	access.Fields = map[string]string{"client": "203.0.113.9", "method": "GET", "path": "/cart?a=\x1b[2J", "status": "502",
		"bytes": "1234", "duration": "0.012345", "error": "shop did not answer"}
	return []rhumb.LogLine{access,
		{Time: hoursAgo(1), Stack: "shop", Service: "web", Replica: "shop-web.41.1", Kind: rhumb.LineEvent,
			Container: "rhumb:event", Text: `{"kind":"ready"}`,
			Fields: map[string]string{"kind": "ready", "msg": "ready after 5s"}},
		{Time: hoursAgo(1), Service: "rhumb", Replica: "daemon", Kind: rhumb.LineDaemon, Container: "rhumb:daemon",
			Text: `{"msg":"server started"}`, Level: rhumb.LevelInfo},
	}
}

// fail makes all calls fail with err, and those for lines after some.
func (k *kept) fail(err error, after int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err, k.after = err, after
}

// failure returns the error of every call, and how many lines are sent before it.
func (k *kept) failure() (after int, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.after, k.err
}

func (k *kept) Lines(ctx context.Context, q rhumb.LogQuery) iter.Seq2[rhumb.LogLine, error] {
	return func(yield func(rhumb.LogLine, error) bool) {
		after, failure := k.failure()
		n := 0
		for l, err := range k.store.Lines(ctx, q) {
			if n == after && failure != nil {
				break
			}
			n++
			if !yield(l, err) {
				return
			}
		}
		if failure != nil {
			if after > 0 {
				k.fail(nil, 0) // it is back
			}
			yield(rhumb.LogLine{}, failure)
		}
	}
}

func (k *kept) LogCounts(ctx context.Context, q rhumb.LogQuery) ([]rhumb.LogCount, error) {
	if _, err := k.failure(); err != nil {
		return nil, err
	}
	counts, err := k.store.LogCounts(ctx, q)
	for i := range counts {
		counts[i].Step, counts[i].Bars = time.Hour, []int64{0, 1, 9, 4}
	}
	return counts, err
}

func (k *kept) LogDestinations(context.Context) ([]rhumb.LogDestination, error) {
	_, err := k.failure()
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sends, err
}

// keepLogs implements "keeplogs on|away|breaks|forwards": from now on, the server's observer answers, is away, breaks
// off once after two lines, or has destinations.
func keepLogs(ts *testscript.TestScript, neg bool, args []string) {
	away := rhumb.Errorf(rhumb.Unavailable, "the process that keeps logs doesn't answer").WithHint("look at its log")
	k := ts.Value(stageKey{}).(*stage).kept
	switch {
	case neg || len(args) != 1:
		ts.Fatalf("usage: keeplogs on|away|breaks|forwards")
	case args[0] == "away":
		k.fail(away, 0)
	case args[0] == "breaks":
		k.fail(away, 2)
	case args[0] == "forwards":
		k.mu.Lock()
		defer k.mu.Unlock()
		k.sends = []rhumb.LogDestination{
			{URL: "syslog+tls://logs.example.com:6514", Sent: 41000},
			{URL: "loki+https://loki.example.com:443/loki/api/v1/push", Sent: 40210, Lost: 12, WaitingLines: 790,
				WaitingBytes: 150000, FailingSince: hoursAgo(2), LastErrorAt: hoursAgo(1),
				LastError: "connection refused\x1b[2J"},
			{URL: "gelf://[2001:db8::1]:12201", Sent: 7, LastErrorAt: hoursAgo(3), LastError: "EOF"},
		}
	default:
		k.fail(nil, 0)
	}
}
