package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rhumb"
	"rhumb/httpapi/client"
)

// streams returns streams with an input, and a function that returns what was written to them.
func streams(in string) (rhumb.Streams, func() []string) {
	var out, errs bytes.Buffer
	return rhumb.Streams{In: strings.NewReader(in), Out: &out, Err: &errs},
		func() []string { return []string{out.String(), errs.String()} }
}

var request = rhumb.DeployRequest{
	Model: rhumb.Stack{Name: "shop", Services: []rhumb.Service{{Name: "web", Replicas: 2, Order: rhumb.StartFirst,
		Container: rhumb.Container{Image: "web:1", Entrypoint: []string{}, Init: new(bool), Env: map[string]string{"A": "b"},
			StopGrace: -1},
		Update:   rhumb.Policy{Parallelism: 1, OnFailure: rhumb.ActionPause, MaxFailureRatio: 0.25},
		Rollback: rhumb.Policy{OnFailure: rhumb.ActionRollback},
		Restart:  rhumb.Restart{Condition: rhumb.RestartAny},
		Ports:    []rhumb.Port{{Published: 80, Target: 8000, Protocol: rhumb.TCP}}, Build: &rhumb.Build{Context: "."}}},
		Files: []rhumb.File{{Kind: rhumb.FileSecret, Name: "db", Hash: "h", Content: []byte{0, 255, 10}}}},
	Git: rhumb.Git{Commit: "abc", Dirty: true}, By: "ada", ID: "r1", Strategy: rhumb.StrategyRecreate,
	WaitLock: time.Second, Note: "n",
	Auth: map[string]rhumb.Credentials{"registry.example": {Username: "u", Password: "p"}},
}

// calls is every method of whole.
var calls = map[string]func(context.Context, whole) (any, error){
	"Bans": func(ctx context.Context, s whole) (any, error) { return s.Bans(ctx) },
	"Ban": func(ctx context.Context, s whole) (any, error) {
		return s.Ban(ctx, rhumb.BanOrder{Client: netip.MustParsePrefix("203.0.113.7/32"), For: time.Hour, Reason: "a <b>",
			By: "ada", Private: true})
	},
	"Unban": func(ctx context.Context, s whole) (any, error) {
		return s.Unban(ctx, netip.MustParsePrefix("2001:db8::/48"))
	},
	"WhyBanned": func(ctx context.Context, s whole) (any, error) {
		return s.WhyBanned(ctx, netip.MustParseAddr("2001:db8::7"))
	},
	"Plan": func(ctx context.Context, s whole) (any, error) { return s.Plan(ctx, request) },
	"Deploy": func(ctx context.Context, s whole) (any, error) {
		var news []rhumb.Event
		d, err := s.Deploy(ctx, request, func(e rhumb.Event) { news = append(news, e) })
		return []any{news, d}, err
	},
	"Change": func(ctx context.Context, s whole) (any, error) {
		return s.Change(ctx, rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseScale, Scale: map[string]int{"web": 3},
			ID: "r2", Volumes: true, WaitLock: time.Minute})
	},
	"PlanChange": func(ctx context.Context, s whole) (any, error) {
		return s.PlanChange(ctx, rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseRestart, Services: []string{"web"}})
	},
	"Cancel": func(ctx context.Context, s whole) (any, error) { return nil, s.Cancel(ctx, "shop", 7, "ada") },
	"Deployment": func(ctx context.Context, s whole) (any, error) {
		return s.Deployment(ctx, "shop", 0)
	},
	"Deployments": func(ctx context.Context, s whole) (any, error) { return s.Deployments(ctx, "shop", 5) },
	"Info":        func(ctx context.Context, s whole) (any, error) { return s.Info(ctx) },
	"Stacks":      func(ctx context.Context, s whole) (any, error) { return s.Stacks(ctx) },
	"Status": func(ctx context.Context, s whole) (any, error) {
		return s.Status(ctx, "a stack/with ?odd&name%")
	},
	"Releases":        func(ctx context.Context, s whole) (any, error) { return s.Releases(ctx, "shop") },
	"Diff":            func(ctx context.Context, s whole) (any, error) { return s.Diff(ctx, "shop", 41, 42) },
	"Routes":          func(ctx context.Context, s whole) (any, error) { return s.Routes(ctx) },
	"Certificates":    func(ctx context.Context, s whole) (any, error) { return s.Certificates(ctx) },
	"RootCertificate": func(ctx context.Context, s whole) (any, error) { return s.RootCertificate(ctx) },
	"Events": func(ctx context.Context, s whole) (any, error) {
		var es []rhumb.Event
		for e, err := range s.Events(ctx, rhumb.EventFilter{Stack: "shop", Deployment: 7, After: 2, Since: noon, Limit: 9}) {
			if err != nil {
				return es, err
			}
			es = append(es, e)
		}
		return es, nil
	},
	"Logs": func(ctx context.Context, s whole) (any, error) {
		var ls []rhumb.LogLine
		for l, err := range s.Logs(ctx, "shop", []string{"web", "a,b"},
			rhumb.LogOptions{Tail: -1, Since: noon, Until: noon.Add(time.Hour)}) {
			if err != nil {
				return ls, err
			}
			ls = append(ls, l)
		}
		return ls, nil
	},
	"Lines": func(ctx context.Context, s whole) (any, error) {
		var ls []rhumb.LogLine
		for l, err := range s.Lines(ctx, question) {
			if err != nil {
				return ls, err
			}
			ls = append(ls, l)
		}
		return ls, nil
	},
	"LogCounts":       func(ctx context.Context, s whole) (any, error) { return s.LogCounts(ctx, question) },
	"LogDestinations": func(ctx context.Context, s whole) (any, error) { return s.LogDestinations(ctx) },
	"Query": func(ctx context.Context, s whole) (any, error) {
		return s.Query(ctx, rhumb.MetricQuery{Expr: `sum by (le) (rate(x{a=~"b|\\+ c"}[5m])) > 1 & 2`, Since: noon,
			Until: noon.Add(time.Hour), Step: 1500 * time.Millisecond})
	},
	"Alerts":         func(ctx context.Context, s whole) (any, error) { return s.Alerts(ctx, "shop & co") },
	"AlertRules":     func(ctx context.Context, s whole) (any, error) { return s.AlertRules(ctx) },
	"AlertReceivers": func(ctx context.Context, s whole) (any, error) { return s.AlertReceivers(ctx) },
	"TestAlert":      func(ctx context.Context, s whole) (any, error) { return s.TestAlert(ctx) },
	"Silences":       func(ctx context.Context, s whole) (any, error) { return s.Silences(ctx) },
	"Silence":        func(ctx context.Context, s whole) (any, error) { return s.Silence(ctx, silence) },
	"RemoveSilence":  func(ctx context.Context, s whole) (any, error) { return nil, s.RemoveSilence(ctx, "a/b ?c") },
	"Why": func(ctx context.Context, s whole) (any, error) {
		return s.Why(ctx, rhumb.WhyQuery{Stack: "shop", Service: "web", Since: noon, Until: noon.Add(time.Hour)})
	},
	"DashboardLink": func(ctx context.Context, s whole) (any, error) { return s.DashboardLink(ctx) },
	"Exec": func(ctx context.Context, s whole) (any, error) {
		st, said := streams(strings.Repeat("x", 200_000) + "\nshort\n")
		code, err := s.Exec(ctx, "shop", "web", 2, rhumb.ExecOptions{Command: []string{"up"}, Env: []string{"K=V"}, User: "u",
			WorkingDir: "/w", TTY: true, Streams: st})
		return []any{code, said()}, err
	},
	"Run": func(ctx context.Context, s whole) (any, error) {
		st, said := streams("a\nb\n")
		st.Err = nil
		code, err := s.Run(ctx, "shop", "web", rhumb.ExecOptions{Command: []string{"up"}, Streams: st})
		return []any{code, said()}, err
	},
	"SetValue": func(ctx context.Context, s whole) (any, error) {
		return nil, s.SetValue(ctx, "db/password", strings.NewReader("\x00secret\n"))
	},
	"RemoveValue": func(ctx context.Context, s whole) (any, error) {
		return nil, s.RemoveValue(ctx, "db/password")
	},
	"Values": func(ctx context.Context, s whole) (any, error) { return s.Values(ctx) },
	"Build": func(ctx context.Context, s whole) (any, error) {
		var news []rhumb.BuildProgress
		r := rhumb.BuildRequest{Stack: "shop", Service: "web", Name: "shop-web:1",
			Build:   rhumb.Build{Context: ".", Args: map[string]string{"A": "b"}},
			Secrets: map[string][]byte{"s": {1, 2}}}
		img, err := s.Build(ctx, r, io.LimitReader(zeros{}, 5<<20), func(p rhumb.BuildProgress) { news = append(news, p) })
		return []any{news, img}, err
	},
}

var question = rhumb.LogQuery{
	LogOptions: rhumb.LogOptions{Follow: true, Tail: 5, Since: noon, Until: noon.Add(time.Hour)},
	Stack:      "shop", Services: []string{"web", "a,b"}, Replica: "shop-web.42.1", Release: 42,
	Kinds:  []rhumb.LineKind{rhumb.LineOutput, rhumb.LineAccess},
	Stream: "stderr", Level: rhumb.LevelWarn, Grep: `a+ "&=\x00`, Query: `_msg:"x y" | limit 5`, Around: 3,
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

var same = cmp.Options{
	cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{}, netip.Prefix{}), cmpopts.EquateErrors(),
	cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) }),
}

func TestEveryCallGivesTheSameThroughTheWireAsDirectly(t *testing.T) {
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			near, far := &fake{}, &fake{}
			want, err := call(t.Context(), near)
			if err != nil {
				t.Fatal(err)
			}
			got, err := call(t.Context(), serve(t, far))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, same); diff != "" {
				t.Errorf("answer (-direct +wire):\n%s", diff)
			}
			if diff := cmp.Diff(near.asked, far.asked, same); diff != "" {
				t.Errorf("what the server was asked (-direct +wire):\n%s", diff)
			}
		})
	}
}

func TestErrorsSurviveTheTrip(t *testing.T) {
	full := &rhumb.Error{Code: rhumb.Locked, Msg: "shop: deployment 7 goes on", Hint: "wait", At: "compose.yaml:3"}
	errs := map[string]struct{ sent, want error }{
		"one": {full, full},
		"several": {rhumb.Errors{full, {Code: rhumb.Invalid, Msg: "b", At: "compose.yaml:9"}},
			rhumb.Errors{full, {Code: rhumb.Invalid, Msg: "b", At: "compose.yaml:9"}}},
		"wrapped": {fmt.Errorf("start web: %w", rhumb.Errorf(rhumb.NotFound, "no image").WithHint("build it")),
			&rhumb.Error{Code: rhumb.NotFound, Msg: "start web: no image", Hint: "build it"}},
		"foreign": {errors.New("password=hunter2"),
			&rhumb.Error{Code: rhumb.Internal, Msg: "internal error, see the server's log"}},
		"joined": {errors.Join(errors.New("hunter2"), full), full},
		"cause": {rhumb.Errorf(rhumb.Unavailable, "the engine is away: %w", io.EOF),
			&rhumb.Error{Code: rhumb.Unavailable, Msg: "the engine is away: EOF"}},
		"deadline":  {context.DeadlineExceeded, &rhumb.Error{Code: rhumb.Timeout, Msg: "it did not happen in time"}},
		"cancelled": {context.Canceled, &rhumb.Error{Code: rhumb.Cancelled, Msg: "cancelled"}},
	}
	for name, call := range calls {
		for kind, e := range errs {
			t.Run(name+" "+kind, func(t *testing.T) {
				near, far := &fake{err: e.sent}, &fake{err: e.sent}
				want, _ := call(t.Context(), near)
				got, err := call(t.Context(), serve(t, far))
				if diff := cmp.Diff(e.want, err, cmpopts.EquateComparable()); diff != "" {
					t.Errorf("error (-want +wire):\n%s", diff)
				}
				if diff := cmp.Diff(want, got, same); diff != "" {
					t.Errorf("what came before the error (-direct +wire):\n%s", diff)
				}
			})
		}
	}
}

func TestAFollowedStreamEndsWhenTheReaderStops(t *testing.T) {
	c := serve(t, &fake{})
	seen := 0
	for _, err := range c.Events(t.Context(), rhumb.EventFilter{Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 3 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	seen = 0
	for _, err := range c.Events(ctx, rhumb.EventFilter{Follow: true}) {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Fatal(err)
			}
			break
		}
		if seen++; seen == 3 {
			cancel()
		}
	}
	cancel()
}

// ended reports when the server's side of a call begins and how it ends.
type ended struct {
	fake
	begun chan struct{}
	err   chan error
}

func (e *ended) Exec(ctx context.Context, stack, service string, slot int, o rhumb.ExecOptions) (int, error) {
	e.begun <- struct{}{}
	code, err := e.fake.Exec(ctx, stack, service, slot, o)
	e.err <- err
	return code, err
}

func (e *ended) Status(ctx context.Context, _ string) (rhumb.StackInfo, error) {
	e.begun <- struct{}{}
	<-ctx.Done()
	e.err <- ctx.Err()
	return rhumb.StackInfo{}, ctx.Err()
}

func TestCancellingACallCancelsItOnTheServer(t *testing.T) {
	s := &ended{begun: make(chan struct{}, 1), err: make(chan error, 1)}
	c := serve(t, s)
	for name, call := range map[string]func(context.Context) error{
		"Status": func(ctx context.Context) error { _, err := c.Status(ctx, "shop"); return err },
		"Exec": func(ctx context.Context) error {
			in, _ := io.Pipe() // a terminal without input
			_, err := c.Exec(ctx, "shop", "web", 1, rhumb.ExecOptions{Command: []string{"wait"},
				Streams: rhumb.Streams{In: in, Out: io.Discard}})
			return err
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-s.begun // a call that is cancelled before it arrives never does
			cancel()
		}()
		if err := call(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
		select {
		case err := <-s.err:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: the server saw %v", name, err)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the server goes on", name)
		}
	}
}

func TestACommandThatReadsNothingEndsAlthoughItsInputIsEndless(t *testing.T) {
	c := serve(t, &fake{})
	code, err := c.Exec(t.Context(), "shop", "web", 1,
		rhumb.ExecOptions{Command: []string{"deaf"}, Streams: rhumb.Streams{In: zeros{}, Out: io.Discard}})
	if code != 3 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
}

func TestATerminalsSizeReachesTheCommand(t *testing.T) {
	c := serve(t, &fake{})
	resize := make(chan rhumb.Size, 1)
	resize <- rhumb.Size{Rows: 24, Cols: 80}
	var out bytes.Buffer
	_, err := c.Exec(t.Context(), "shop", "web", 1,
		rhumb.ExecOptions{Command: []string{"size"}, Streams: rhumb.Streams{Out: &out, Resize: resize}})
	if err != nil || out.String() != "24x80\n" {
		t.Errorf("got %q, %v", out.String(), err)
	}
}

func TestASignalReachesTheCommand(t *testing.T) {
	c := serve(t, &fake{})
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	var out bytes.Buffer
	code, err := c.Run(t.Context(), "shop", "web",
		rhumb.ExecOptions{Command: []string{"signal"}, Streams: rhumb.Streams{Out: &out, Signals: signals}})
	if err != nil || code != 130 || out.String() != "interrupt\n" {
		t.Errorf("got %d, %v, %q", code, err, out.String())
	}
}

func TestABuildThatFailsEarlySaysWhyAlthoughTheContextIsStillOnItsWay(t *testing.T) {
	c := serve(t, &fake{})
	for range 20 {
		_, err := c.Build(t.Context(), rhumb.BuildRequest{Stack: "shop", Service: "web", Name: "early"},
			io.LimitReader(zeros{}, 50<<20), nil)
		if rhumb.ErrorCode(err) != rhumb.Invalid || rhumb.ErrorHint(err) != "look there" {
			t.Fatalf("got %v", err)
		}
	}
}

func TestABrokenContextFailsTheBuild(t *testing.T) {
	s := &fake{}
	c := serve(t, s)
	broken := io.MultiReader(strings.NewReader("abc"), iotestErr{rhumb.Errorf(rhumb.NotFound, "x is gone")})
	_, err := c.Build(t.Context(), rhumb.BuildRequest{Stack: "shop", Service: "web"}, broken, nil)
	if rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("got %v", err)
	}
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

func TestAServerThatIsNotThereIsUnavailableWithAHint(t *testing.T) {
	c, err := client.New("unix:///nowhere/s")
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Info(t.Context())
	if rhumb.ErrorCode(err) != rhumb.Unavailable || !strings.Contains(rhumb.ErrorHint(err), "rhumb server") {
		t.Errorf("got %v (%s)", err, rhumb.ErrorHint(err))
	}
}

func TestHostsOfOtherFormsAreRefused(t *testing.T) {
	for _, host := range []string{"shop", "tcp://x", "unix://", "unix://host/s", "ssh://", "ssh://-oProxyCommand=x", "ssh://u:p@host", "ssh://-x@host", "ssh://host/s?x", "ssh://host/s#x", "http://", "://"} {
		if _, err := client.New(host); rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%s: got %v", host, err)
		}
	}
	for _, host := range []string{"", "unix:///s", "ssh://host", "ssh://u@host:22", "ssh://u@host:22/run/s", "ssh://host/", "http://x:1", "https://x"} {
		if _, err := client.New(host); err != nil {
			t.Errorf("%s: got %v", host, err)
		}
	}
}
