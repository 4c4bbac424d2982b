package sdnotify

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSystemdLearnsTheMainProcess(t *testing.T) {
	for _, name := range []string{filepath.Join(t.TempDir(), "s"), fmt.Sprintf("@rhumb-test-%d", os.Getpid())} {
		l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		t.Setenv("NOTIFY_SOCKET", name)
		for want, tell := range map[string]func() error{fmt.Sprintf("MAINPID=%d\nREADY=1", os.Getpid()): Ready,
			"MAINPID=42": func() error { return Succeeded(42) }} {
			if err := tell(); err != nil {
				t.Fatal(err)
			}
			_ = l.SetReadDeadline(time.Now().Add(time.Second))
			b := make([]byte, 100)
			n, err := l.Read(b)
			if err != nil || string(b[:n]) != want {
				t.Errorf("%s hears %q (%v), want %q", name, b[:n], err, want)
			}
		}
	}
}

func TestWithoutASocketNothingIsSent(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := Ready(); err != nil {
		t.Error(err)
	}
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	if err := Ready(); err == nil {
		t.Error("a socket that isn't there gives no error")
	}
}
