package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"rhumb"
)

// outages asks all the time on new connections and remembers when nothing answered.
type outages struct {
	stop chan struct{}
	done sync.WaitGroup

	mu      sync.Mutex
	longest time.Duration
	total   time.Duration
	since   time.Time // zero: it answers
	last    string    // what went wrong last
}

// watchFor asks a URL, one request after the other, until the test ends.
func watchFor(t *testing.T, url string) *outages {
	o := &outages{stop: make(chan struct{})}
	o.done.Go(func() {
		for {
			select {
			case <-o.stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			at := time.Now()
			code, _, err := fetch(url)
			o.note(at, code == 200 && err == nil, fmt.Sprintf("%d %v", code, err))
		}
	})
	t.Cleanup(o.end)
	return o
}

func (o *outages) note(at time.Time, good bool, what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case !good && o.since.IsZero():
		o.since, o.last = at, what
	case good && !o.since.IsZero():
		d := time.Since(o.since)
		o.longest, o.total, o.since = max(o.longest, d), o.total+d, time.Time{}
	}
}

// end stops watching. It may be called again.
func (o *outages) end() {
	o.mu.Lock()
	select {
	case <-o.stop:
	default:
		close(o.stop)
	}
	o.mu.Unlock()
	o.done.Wait()
}

// outageLimit is how long the published ports may be dead after the proxy was killed, on a busy machine.
const outageLimit = time.Second

func TestAProxyKilledAtRandomMomentsIsBackAndServesTheSame(t *testing.T) {
	needDocker(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	m := newMortal(t)
	k := newTrio(t, m.server)
	k.must(0, "deploy")
	x := &torment{trioStack: k, m: m, begin: k.version, want: rhumb.PhaseConverged, serves: 1}
	o := watchFor(t, k.url("/"))
	kills := longer(4, 50)
	for n := range kills {
		before := x.last().ID
		x.begin(x.v + 1)
		asked := x.ask()
		time.Sleep(time.Duration(rng.Int64N(int64(3 * time.Second))))
		m.killProxy()
		if n%2 == 1 { // and the next one, while it changes the table
			m.dieAt(point{[]string{"proxy before it saves a table", "proxy after it saved a table"}[n/2%2], 1})
		}
		<-asked
		m.spare()
		if x.last().ID == before {
			k.must(0, "deploy")
		}
		x.judge(nil)
	}
	o.end()
	t.Logf("the proxy was killed at least %d times; nothing answered for %s in all, at most %s at a time; the last "+
		"error was: %s", kills, o.total, o.longest, o.last)
	if o.longest > outageLimit {
		t.Errorf("nothing answered for %s, want at most %s", o.longest, outageLimit)
	}
}

// killProxy kills the server's proxy, which doesn't end with it.
func (s *server) killProxy() {
	s.t.Helper()
	for _, pid := range s.processes() {
		if runs(pid, "proxy") {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// runs reports whether a process of ours runs a subcommand.
func runs(pid int, subcommand string) bool {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	return err == nil && strings.Contains(string(b), "\x00"+subcommand+"\x00")
}
