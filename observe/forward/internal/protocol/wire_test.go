package protocol

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestAReceiverThatWasSlowConfirmsAgain(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return // the test has ended
			}
			_, _ = io.Copy(io.Discard, conn) // the sender's end
			conn.Close()
		}
	}()
	s := &stream{wire: wire{config: Config{Address: ln.Addr().String()}}, frame: syslog{}.frame, mute: true}
	for deadline := time.Now().Add(10 * time.Second); s.mute && time.Now().Before(deadline); { // the machine may be busy
		if r := s.Send(t.Context(), []Line{line("x")}); r.Err != nil || len(r.Left) > 0 {
			t.Fatalf("got %+v", r)
		}
	}
	if s.mute {
		t.Error("it closed its half, and counts as one that confirms nothing")
	}
}
