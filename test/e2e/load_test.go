package e2e

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// loadPlan is what a load does all the time, from start to stop.
type loadPlan struct {
	urls   []string // asked in turn, half of the requests on new connections, half on kept ones
	rate   int      // requests a second
	slow   string   // a URL that takes long: always being asked twice; "": none
	socket string   // a WebSocket that echoes and always stays open; "": none
	idle   string   // an address to which a connection stays open that says nothing; "": none
	raw    bool     // nothing ends the kept connections in HTTP's own way, see loadraw_test.go
	gap    bool     // any number of requests may be late
	// asked half as often as the others together, on new connections only: no proxy keeps the old ones; "": none
	inner string
}

// tally is what became of a load.
type tally struct {
	sent, failed, slow, echoes, reconnects int
	idles, closed, crossed                 int           // see loadraw_test.go
	late                                   int           // requests for which no kept connection was free for two seconds
	longest                                time.Duration // of the plain requests
	errors                                 map[string]int
	firsts                                 map[string]time.Duration // when an error was first seen
	releases                               map[string]int           // answers by X-Release
}

func (y *tally) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %d slow ones, %d echoes, %d reconnects, %d idle ones, %d closed between requests, "+
		"%d crossed, %d late, longest %s, %d releases seen, %d failed", y.sent, y.slow, y.echoes, y.reconnects, y.idles,
		y.closed, y.crossed, y.late, y.longest.Round(time.Millisecond), len(y.releases), y.failed)
	texts := make([]string, 0, len(y.errors))
	for text := range y.errors {
		texts = append(texts, text)
	}
	sort.Strings(texts)
	for _, text := range texts {
		fmt.Fprintf(&b, "\n  %d x %s (first after %.1f s)", y.errors[text], text, y.firsts[text].Seconds())
	}
	return b.String()
}

// load sends requests until it is stopped. It retries nothing: a reused connection that turns out closed is a failure
// too, unless the plan is raw.
type load struct {
	plan  loadPlan
	began time.Time
	stop  context.CancelFunc
	done  sync.WaitGroup
	quit  atomic.Bool // set first, so that what is in flight at the end may finish

	mu sync.Mutex
	tally
}

// keptConns is how many connections the kept-alive half is spread over.
const keptConns = 16

// limit is how long a request may take.
const limit = 30 * time.Second

func startLoad(t *testing.T, plan loadPlan) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{plan: plan, began: time.Now(), stop: cancel}
	l.errors, l.releases, l.firsts = map[string]int{}, map[string]int{}, map[string]time.Duration{}
	// A busy machine may stop for seconds, and a gap may last as long. Requests of kept connections are late then, by up
	// to the time that every request may take.
	turns := make(chan string, plan.rate/2*int(limit/time.Second))
	l.done.Add(1)
	go l.pace(ctx, turns)
	for range keptConns {
		l.done.Add(1)
		go l.keepAsking(turns)
	}
	if plan.slow != "" {
		for i := range 2 {
			l.done.Add(1)
			go l.askSlowly(ctx, time.Duration(i)*2500*time.Millisecond)
		}
	}
	if plan.socket != "" {
		l.done.Add(1)
		go l.echo(ctx)
	}
	if plan.idle != "" {
		l.done.Add(1)
		go l.stayIdle(ctx)
	}
	t.Cleanup(func() { l.end() })
	return l
}

// end stops the load, lets what is in flight finish, and gives the tally.
func (l *load) end() *tally {
	l.quit.Store(true)
	l.stop()
	l.done.Wait()
	if !l.plan.gap && l.late > l.sent/20 {
		l.fail(fmt.Sprintf("%d requests were late, and only one in twenty may be", l.late))
	}
	return &l.tally
}

// pace hands out the URLs in turn: one to a kept connection, the next to a connection of its own.
func (l *load) pace(ctx context.Context, turns chan<- string) {
	defer l.done.Done()
	defer close(turns)
	tick := time.NewTicker(2 * time.Second / time.Duration(l.plan.rate))
	defer tick.Stop()
	var fresh sync.WaitGroup
	defer fresh.Wait()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		next := l.plan.urls[n%len(l.plan.urls)]
		if len(turns) >= l.plan.rate {
			l.note(&l.late)
		}
		select {
		case turns <- next:
		default:
			l.fail(fmt.Sprintf("the kept connections are %s behind", limit))
		}
		fresh.Add(1)
		go func() {
			defer fresh.Done()
			l.askOnce(next)
			if l.plan.inner != "" {
				l.askOnce(l.plan.inner)
			}
		}()
	}
}

// askOnce sends one request on a connection of its own.
func (l *load) askOnce(target string) {
	start := time.Now()
	c, err := newConn(target)
	if err != nil {
		l.fail("new connection: " + clean(err))
		return
	}
	defer c.Close()
	release, _, err := c.ask(target, true, limit)
	l.count(release, time.Since(start), err, "new connection: ")
}

// keepAsking sends requests on one connection after the other, each kept as long as the server lets it.
func (l *load) keepAsking(turns <-chan string) {
	defer l.done.Done()
	conns := map[string]*conn{} // by host
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	for target := range turns {
		u, err := url.Parse(target)
		if err != nil {
			l.fail(err.Error())
			continue
		}
		c := conns[u.Host]
		reused := c != nil
		if reused && l.plan.raw && c.ended() {
			_ = c.Close()
			c, reused = nil, false
			l.note(&l.closed)
		}
		if c == nil {
			if c, err = newConn(target); err != nil {
				l.fail("kept connection: " + clean(err))
				continue
			}
		}
		start := time.Now()
		release, keep, err := c.ask(target, false, limit)
		if reused && l.plan.raw && errors.Is(err, errCrossed) {
			l.note(&l.crossed)
			_ = c.Close()
			delete(conns, u.Host)
			l.askOnce(target)
			continue
		}
		l.count(release, time.Since(start), err, "kept connection: ")
		conns[u.Host] = c
		if err != nil || !keep {
			_ = c.Close()
			delete(conns, u.Host)
		}
	}
}

// askSlowly always has one slow request in flight.
func (l *load) askSlowly(ctx context.Context, delay time.Duration) {
	defer l.done.Done()
	select {
	case <-ctx.Done():
		return
	case <-time.After(delay):
	}
	for !l.quit.Load() {
		c, err := newConn(l.plan.slow)
		if err == nil {
			_, _, err = c.ask(l.plan.slow, true, 60*time.Second)
			_ = c.Close()
		}
		if err != nil {
			l.fail("slow request: " + clean(err))
			time.Sleep(100 * time.Millisecond)
			continue
		}
		l.note(&l.slow)
	}
}

// echo always has a WebSocket open. A server that goes away says so, and is reconnected to; any other end is a failure.
func (l *load) echo(ctx context.Context) {
	defer l.done.Done()
	for ctx.Err() == nil {
		err := l.echoUntilClosed(ctx)
		switch {
		case ctx.Err() != nil:
		case websocket.CloseStatus(err) == websocket.StatusGoingAway:
			l.note(&l.reconnects)
		default:
			l.fail("WebSocket: " + clean(err))
			time.Sleep(100 * time.Millisecond)
		}
	}
}

func (l *load) echoUntilClosed(ctx context.Context) error {
	c, _, err := websocket.Dial(ctx, l.plan.socket, nil)
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseNow() }()
	for n := 0; ; n++ {
		text := fmt.Sprintf("message %d", n)
		// A write to a server that has just said good-bye fails; what it said is then still to be read.
		writeErr := c.Write(ctx, websocket.MessageText, []byte(text))
		readCtx, cancel := context.WithTimeout(ctx, 30*time.Second)
		_, got, err := c.Read(readCtx)
		cancel()
		switch {
		case err != nil:
			return err
		case writeErr != nil:
			return writeErr
		case string(got) != text:
			return fmt.Errorf("%q came back as %q", text, got)
		}
		l.note(&l.echoes)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (l *load) count(release string, took time.Duration, err error, how string) {
	if err != nil {
		l.fail(how + clean(err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	l.longest = max(l.longest, took)
	if err == nil {
		l.releases[release]++
	}
}

// note counts one more of something.
func (l *load) note(n *int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*n++
}

func (l *load) fail(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed++
	if len(l.errors) < 50 || l.errors[text] > 0 {
		l.errors[text]++
	}
	if l.errors[text] == 1 {
		l.firsts[text] = time.Since(l.began)
	}
}

// clean takes what differs each time out of an error: the client's own port.
func clean(err error) string {
	if err == nil {
		return ""
	}
	var op *net.OpError
	if errors.As(err, &op) {
		return fmt.Sprintf("%s: %v", op.Op, op.Err)
	}
	return err.Error()
}

// conn is one HTTP/1.1 connection, used for one request at a time.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func newConn(target string) (*conn, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	c, err := net.DialTimeout("tcp", u.Host, limit)
	if err != nil {
		return nil, err
	}
	return &conn{c, bufio.NewReader(c)}, nil
}

// ask sends a request and reads the whole answer. Everything but a 200 is an error; keep says whether the connection
// stays usable.
func (c *conn) ask(target string, last bool, limit time.Duration) (release string, keep bool, err error) {
	if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
		return "", false, err
	}
	req, err := http.NewRequest(http.MethodGet, target, nil)
	if err != nil {
		return "", false, err
	}
	req.Close = last
	err = req.Write(c)
	if err == nil {
		_, err = c.r.Peek(1)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return "", false, fmt.Errorf("%w: %w", errCrossed, err)
	}
	if err != nil {
		return "", false, err
	}
	resp, err := http.ReadResponse(c.r, req)
	if err != nil {
		return "", false, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if closeErr := resp.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return "", false, err
	}
	if resp.StatusCode != http.StatusOK {
		return "", false, fmt.Errorf("%s from %s: %.200s", resp.Status, req.URL.Path, body)
	}
	return resp.Header.Get("X-Release"), !resp.Close, nil
}
