package proxy_test

import (
	"os"
	"path/filepath"
	"testing"

	"rhumb/proxy"
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
