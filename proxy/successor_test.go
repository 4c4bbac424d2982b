package proxy_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"rhumb"
	"rhumb/proxy"
	"rhumb/proxy/internal/wire"
)

func TestAProxyKnowsItsSuccessor(t *testing.T) {
	dir := t.TempDir()
	run := func() (*proxy.Proxy, <-chan error) {
		p, err := proxy.New(proxy.Options{State: dir, Socket: filepath.Join(dir, "s"), Version: "v1"})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- p.Run(t.Context()) }()
		select {
		case <-p.Serving():
		case err := <-ended:
			t.Fatalf("Run: %v", err)
		}
		return p, ended
	}
	old, ended := run()
	if pid := old.Successor(); pid != 0 {
		t.Errorf("before the takeover: %d", pid)
	}
	next, _ := run()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if pid := old.Successor(); pid != os.Getpid() {
		t.Errorf("got %d, want %d", pid, os.Getpid())
	}
	if st, err := next.Status(t.Context()); err != nil || st.Version != "v1" {
		t.Errorf("version %q (%v)", st.Version, err)
	}
}

func TestANewProxyServesWhileTheOldOneStops(t *testing.T) {
	for name, stop := range map[string]func(t *testing.T, socket string, old process){
		"on SIGTERM": func(t *testing.T, _ string, old process) {
			if err := old.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		},
		"for a successor that died": func(t *testing.T, socket string, _ process) {
			got, err := wire.TakeOver(t.Context(), socket)
			if err == nil {
				err = got.Accept(&wire.Predecessors{})
			}
			if err != nil {
				t.Fatal(err)
			}
			got.Refuse()
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, addr := t.TempDir(), freeAddr(t)
			socket := filepath.Join(dir, "s")
			old, c := spawn(t, dir), proxy.Dial(socket)
			asked, release := make(chan struct{}), make(chan struct{})
			answer := sync.OnceFunc(func() { close(release) })
			defer answer()
			apply(t, c, one(1, addr, rhumb.HTTP, 0, web(t, "a", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(asked)
					<-release
				}
				fmt.Fprint(w, "a")
			})))
			var slow sync.WaitGroup
			slow.Go(func() {
				if _, body := get(t, "http://"+addr.String()+"/slow"); body != "a" {
					t.Errorf("the request that was under way: %q", body)
				}
			})
			<-asked
			stop(t, socket, old)
			eventually(t, "the old proxy doesn't answer the daemon any more", func() bool {
				_, err := c.Status(t.Context())
				return err != nil
			})
			spawn(t, dir)
			eventually(t, "the new proxy serves", func() bool { // the old one may only just be closing its sockets
				resp, err := http.Get("http://" + addr.String())
				if err == nil {
					resp.Body.Close()
				}
				return err == nil && resp.StatusCode == http.StatusOK
			})
			if !old.running() {
				t.Error("the old proxy didn't wait for the request that was under way")
			}
			answer()
			slow.Wait()
		})
	}
}
