package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"rhumb"
	"rhumb/proxy"
)

// besiegers is how many slow connections there are at a time. The last of them must be cut within shedTime.
const (
	besiegers = 2_000
	shedTime  = 15 * time.Second
)

// closedWindow is an HTTP/2 connection without a window for its streams, and a request for /big on it.
const closedWindow = http2.ClientPreface + "\x00\x00\x06\x04\x00\x00\x00\x00\x00" + "\x00\x04\x00\x00\x00\x00" +
	"\x00\x00\x0b\x01\x05\x00\x00\x00\x01" + "\x82\x86\x44\x04/big\x41\x01x"

// The limits and times are the defaults, as an operator would see them.
func TestTwoThousandSlowConnectionsAreCutWithin15SecondsAlone(t *testing.T) {
	if os.Getenv("RHUMB_TEST_ALONE") == "" {
		t.Skip("measures time with 4,000 descriptors: make test runs it alone, with RHUMB_TEST_ALONE=1")
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < 3*besiegers {
		t.Fatalf("%d descriptors aren't enough for %d connections with both their ends here (%v)", files.Cur, besiegers,
			err)
	}
	much := make([]byte, 32<<20)
	p := start(t, proxy.Options{})
	addr := freeAddr(t)
	apply(t, p, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/big" {
			w.Write(much)
			return
		}
		fmt.Fprint(w, "ok")
	})))
	type kind = struct{ name, first, more string }
	kinds := append(slices.Clone(attacks), kind{"reads nothing", "GET /big HTTP/1.1\r\nHost: x\r\n\r\n", ""},
		kind{"an HTTP/2 stream without a window", closedWindow, ""})
	worst := make([]time.Duration, len(kinds))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range besiegers {
		a := kinds[i%len(kinds)]
		c := dialSmall(t, addr)
		began := time.Now()
		wg.Go(func() {
			io.WriteString(c, a.first)
			for !cut(c) && time.Since(began) < 2*shedTime {
				time.Sleep(200 * time.Millisecond)
				if a.more != "" {
					io.WriteString(c, a.more)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			worst[i%len(kinds)] = max(worst[i%len(kinds)], time.Since(began))
		})
	}
	served, slowest := 0, time.Duration(0)
	for began := time.Now(); time.Since(began) < shedTime; served++ {
		asked := time.Now()
		if code, body := get(t, "http://"+addr.String()); code != 200 || body != "ok" {
			t.Fatalf("a request beside the siege: %d %q", code, body)
		}
		slowest = max(slowest, time.Since(asked))
		time.Sleep(20 * time.Millisecond)
	}
	wg.Wait()
	for i, a := range kinds {
		t.Logf("%s: the last of %d was cut after %v", a.name, besiegers/len(kinds),
			worst[i].Round(10*time.Millisecond))
		if worst[i] > shedTime {
			t.Errorf("%s: held for %v", a.name, worst[i])
		}
	}
	t.Logf("%d other requests served, the slowest in %v", served, slowest.Round(time.Millisecond))
	if slowest > 5*time.Second {
		t.Errorf("others waited %v", slowest)
	}
	eventually(t, "nothing is held any more", func() bool { return held(t, addr) == 0 })
}
