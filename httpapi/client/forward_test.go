package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"rhumb"
	"rhumb/httpapi/client"
)

// TestMain lets the test's own program be the ssh that it starts.
func TestMain(m *testing.M) {
	if os.Getenv("RHUMB_TEST_SSH") != "" {
		passOn(os.Args[slices.Index(os.Args, "-L")+1])
		return
	}
	os.Exit(m.Run())
}

// passOn passes connections on as ssh does with -L "HOST:PORT:HOST:PORT", until it is killed.
func passOn(forward string) {
	p := strings.Split(forward, ":")
	ln, err := net.Listen("tcp", p[0]+":"+p[1])
	if err != nil {
		os.Exit(255)
	}
	for {
		near, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer near.Close()
			far, err := net.Dial("tcp", p[2]+":"+p[3])
			if err != nil {
				return
			}
			defer far.Close()
			var both sync.WaitGroup
			both.Go(func() { _, _ = io.Copy(far, near) })
			_, _ = io.Copy(near, far)
			_ = near.Close()
			both.Wait()
		}()
	}
}

// fakeSSH puts an ssh in front of the others in PATH.
func fakeSSH(t *testing.T, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ssh"), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func TestALocalPortReachesAnAddressBehindSSH(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	fakeSSH(t, `RHUMB_TEST_SSH=1 exec "`+self+`" "$@"`)
	far := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "here") }))
	defer far.Close()
	ctx, leave := context.WithCancel(t.Context())
	asked := false
	err = client.Forward(ctx, "ssh://ada@server.example", far.Listener.Addr().String(), func(local string) {
		defer leave()
		resp, err := http.Get("http://" + local)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		asked = string(body) == "here"
		if local == far.Listener.Addr().String() || !asked {
			t.Errorf("at %s is %q, %v", local, body, err)
		}
	})
	if !errors.Is(err, context.Canceled) || !asked {
		t.Errorf("it ends with %v", err)
	}
}

func TestAnSSHThatFailsSaysWhy(t *testing.T) {
	fakeSSH(t, "echo 'ssh: connect to host down.example: no route' >&2; exit 255")
	err := client.Forward(t.Context(), "ssh://down.example", "127.0.0.1:7484", func(string) { t.Error("it is ready") })
	if rhumb.ErrorCode(err) != rhumb.Unavailable || err.Error() != "ssh: connect to host down.example: no route" {
		t.Errorf("got %v", err)
	}
	for _, host := range []string{"unix:///s", "ssh://-oProxyCommand=x", "https://x", "ssh://u:p@x"} {
		err := client.Forward(t.Context(), host, "127.0.0.1:7484", func(string) { t.Error("it is ready") })
		if rhumb.ErrorCode(err) != rhumb.Invalid {
			t.Errorf("%s: got %v", host, err)
		}
	}
}
