package protocol

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fluentServer is a receiver of the test: it reads MessagePack with the sender's own reader, extended by what only a
// receiver needs.
type fluentServer struct {
	t      *testing.T
	l      net.Listener
	key    string
	wrong  bool // acknowledge another chunk
	drop   int  // so many chunks aren't acknowledged: the connection ends
	chunks [][]any
}

func (s *fluentServer) serve() {
	for {
		conn, err := s.l.Accept()
		if err != nil {
			return
		}
		s.connection(conn)
		conn.Close()
	}
}

func (s *fluentServer) connection(conn net.Conn) {
	r := bufio.NewReader(conn)
	if s.key != "" && !s.handshake(conn, r) {
		return
	}
	for {
		message, err := s.message(r)
		if err != nil {
			return
		}
		if s.drop > 0 {
			s.drop--
			return
		}
		options := message[2].(map[string]any)
		if n := len(message[1].([]any)); options["size"] != int64(n) {
			s.t.Errorf("size is %v, of %d entries", options["size"], n)
		}
		s.chunks = append(s.chunks, message)
		chunk := options["chunk"].(string)
		if s.wrong {
			chunk = "other"
		}
		if _, err := conn.Write(packString(packString(packMap(nil, 1), "ack"), chunk)); err != nil {
			return
		}
	}
}

// message reads [tag, [[time, record], …], options].
func (s *fluentServer) message(r *bufio.Reader) ([]any, error) {
	if c, err := r.ReadByte(); err != nil || c != 0x93 {
		return nil, io.EOF
	}
	tag, err := unpack(r, 0)
	if err != nil {
		return nil, err
	}
	n := 0
	switch c, _ := r.ReadByte(); {
	case c == 0xdd:
		var b [4]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		n = int(binary.BigEndian.Uint32(b[:]))
	case c&0xf0 == 0x90:
		n = int(c & 0x0f)
	}
	var entries []any
	for range n {
		var head [11]byte // an array of two, and an EventTime
		if _, err := io.ReadFull(r, head[:]); err != nil || head[0] != 0x92 || head[1] != 0xd7 || head[2] != 0 {
			s.t.Errorf("an entry begins with % x, %v", head, err)
			return nil, io.EOF
		}
		at := time.Unix(int64(binary.BigEndian.Uint32(head[3:])), int64(binary.BigEndian.Uint32(head[7:])))
		record, err := unpack(r, 0)
		if err != nil {
			return nil, err
		}
		entries = append(entries, []any{at, record})
	}
	if _, err := r.Peek(1); err != nil {
		return nil, err
	}
	options, err := unpackOptions(r)
	return []any{tag, entries, options}, err
}

// unpackOptions reads a map with the 64-bit integer that only the sender writes.
func unpackOptions(r *bufio.Reader) (any, error) {
	if c, err := r.ReadByte(); err != nil || c != 0x82 {
		return nil, io.EOF
	}
	m := map[string]any{}
	for range 2 {
		k, err := unpack(r, 0)
		if err != nil {
			return nil, err
		}
		if b, err := r.Peek(9); k == "size" && err == nil && b[0] == 0xd3 {
			m["size"] = int64(binary.BigEndian.Uint64(b[1:]))
			if _, err := r.Discard(9); err != nil {
				return nil, err
			}
			continue
		}
		if m[k.(string)], err = unpack(r, 0); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (s *fluentServer) handshake(conn net.Conn, r *bufio.Reader) bool {
	hello := packString(packArray(nil, 2), "HELO")
	hello = packMap(hello, 2)
	hello = packString(packString(hello, "nonce"), "n0nce")
	hello = packString(packString(hello, "auth"), "salty")
	if _, err := conn.Write(hello); err != nil {
		return false
	}
	v, err := unpack(r, 0)
	ping, ok := v.([]any)
	if err != nil || !ok || len(ping) != 6 {
		s.t.Errorf("PING is %v, %v", v, err)
		return false
	}
	salt, host := ping[2].(string), ping[1].(string)
	good := ping[3] == digest(salt, host, "n0nce", s.key) && ping[4] == "user" &&
		ping[5] == digest("salty", "user", "pass")
	pong := append(packString(packArray(nil, 5), "PONG"), map[bool]byte{true: 0xc3, false: 0xc2}[good])
	for _, p := range []string{"", "server", digest(salt, "server", "n0nce", s.key)} {
		pong = packString(pong, p)
	}
	_, err = conn.Write(pong)
	return good && err == nil
}

// fluentTo starts a server and returns a sender to it, and a function that ends both.
func fluentTo(t *testing.T, s *fluentServer, user, params string) (Sender, func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.t, s.l = t, l
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.serve()
	}()
	c, err := Parse("fluent://" + user + l.Addr().String() + params)
	if err != nil {
		t.Fatal(err)
	}
	sender, err := c.Sender(Deps{Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	return sender, func() {
		sender.Close()
		l.Close()
		<-done
	}
}

func TestFluentChunksAreAcknowledgedOneByOne(t *testing.T) {
	s := &fluentServer{drop: 1}
	sender, end := fluentTo(t, s, "", "")
	other := line("b")
	other.Service = "api"
	lines := []Line{line("a"), other, line("c\xff")}
	r := sender.Send(t.Context(), lines)
	if len(r.Left) != 3 || r.Err == nil {
		t.Errorf("without an acknowledgement: %+v", r)
	}
	if r := sender.Send(t.Context(), r.Left); r.Err != nil || r.Left != nil {
		t.Errorf("with acknowledgements: %+v", r)
	}
	end()
	if len(s.chunks) != 2 || s.chunks[0][0] != "rhumb.shop.web" || s.chunks[1][0] != "rhumb.shop.api" {
		t.Fatalf("chunks: %v", s.chunks)
	}
	entries := s.chunks[0][1].([]any)
	entry := entries[1].([]any)
	record := entry[1].(map[string]any)
	if len(entries) != 2 || !entry[0].(time.Time).Equal(noon) || record["message"] != "c\ufffd" ||
		record["release"] != "7" ||
		record["fields"].(map[string]any)["user id"] != "5" || record["replica"] != "shop-web.7.1" {
		t.Errorf("an entry is %v", entry)
	}
}

func TestAWrongFluentAcknowledgementDeliversNothing(t *testing.T) {
	s := &fluentServer{wrong: true}
	sender, end := fluentTo(t, s, "", "")
	if r := sender.Send(t.Context(), []Line{line("a")}); len(r.Left) != 1 || r.Err == nil {
		t.Errorf("%+v", r)
	}
	end()
}

func TestFluentProvesItsSharedKey(t *testing.T) {
	key := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(key, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for serverKey, ok := range map[string]bool{"s3cret": true, "other": false} {
		s := &fluentServer{key: serverKey}
		sender, end := fluentTo(t, s, "user:pass@", "?key_file="+key)
		r := sender.Send(t.Context(), []Line{line("a")})
		end()
		if ok != (r.Err == nil) || ok != (len(s.chunks) == 1) {
			t.Errorf("server's key %s: %+v", serverKey, r)
		}
		if r.Err != nil && strings.Contains(r.Err.Error(), "s3cret") {
			t.Errorf("the error has the key: %v", r.Err)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(packString(packString(packMap(nil, 1), "ack"), "x"))
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = unpack(bufio.NewReader(bytes.NewReader(b)), 0)
	})
}
