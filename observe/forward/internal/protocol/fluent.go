package protocol

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"time"
)

// helloTimeout is for a receiver that has a shared key to say so.
const helloTimeout = 10 * time.Second

// fluent sends lines in Fluent's forward protocol, version 1, in Forward mode with acknowledgements.
type fluent struct {
	wire
	host string
	conn net.Conn // nil: none
	in   *bufio.Reader
}

// Send implements Sender. The lines of each service are a chunk of their own, because a chunk has one tag. Chunks are
// acknowledged one by one.
func (f *fluent) Send(ctx context.Context, lines []Line) Result {
	var tags []string
	chunks := map[string][]Line{}
	for _, l := range lines {
		tag := tagOf(l)
		if chunks[tag] == nil {
			tags = append(tags, tag)
		}
		chunks[tag] = append(chunks[tag], l)
	}
	for i, tag := range tags {
		if err := f.chunk(ctx, tag, chunks[tag]); err != nil {
			f.Close()
			var left []Line
			for _, tag := range tags[i:] {
				left = append(left, chunks[tag]...)
			}
			return Result{Left: left, Err: err}
		}
	}
	return Result{}
}

// Close implements Sender.
func (f *fluent) Close() {
	if f.conn != nil {
		f.conn.Close()
		f.conn, f.in = nil, nil
	}
}

// chunk sends lines with one tag and waits for the acknowledgement.
func (f *fluent) chunk(ctx context.Context, tag string, lines []Line) error {
	if f.conn == nil {
		if err := f.connect(ctx); err != nil {
			return err
		}
	}
	defer bound(ctx, f.conn, sendTimeout)()
	id := rand.Text()
	b := packArray(nil, 3)
	b = packString(b, tag)
	b = packArray(b, len(lines))
	for _, l := range lines {
		b = f.entry(b, l)
	}
	b = packMap(b, 2)
	b = packString(packString(b, "chunk"), id)
	b = packInt(packString(b, "size"), len(lines))
	if _, err := f.conn.Write(b); err != nil {
		return err
	}
	answer, err := unpack(f.in, 0)
	if err != nil {
		return fmt.Errorf("wait for the receiver's acknowledgement: %w", err)
	}
	if m, ok := answer.(map[string]any); !ok || m["ack"] != id {
		return errors.New("the receiver acknowledges another chunk than the one sent")
	}
	return nil
}

// connect connects, and proves that it knows the shared key if there is one.
func (f *fluent) connect(ctx context.Context) error {
	conn, err := f.dial(ctx)
	if err != nil {
		return err
	}
	f.conn, f.in = conn, bufio.NewReader(conn)
	if f.config.KeyFile == "" && f.config.User == "" {
		return nil
	}
	defer bound(ctx, conn, helloTimeout)()
	return f.authenticate()
}

// authenticate answers the receiver's HELO with a PING and checks its PONG.
func (f *fluent) authenticate() error {
	var key string
	var err error
	if f.config.KeyFile != "" {
		if key, err = f.config.secret(f.config.KeyFile); err != nil {
			return err
		}
	}
	hello, err := f.receive("HELO", 2)
	if err != nil {
		return err
	}
	options, _ := hello[1].(map[string]any)
	nonce, _ := options["nonce"].(string)
	auth, _ := options["auth"].(string) // the salt for user and password; "": none are wanted
	salt := rand.Text()
	user, password := "", ""
	if auth != "" {
		user, password = f.config.User, digest(auth, f.config.User, f.config.Password)
	}
	ping := packArray(nil, 6)
	for _, s := range []string{"PING", f.host, salt, digest(salt, f.host, nonce, key), user, password} {
		ping = packString(ping, s)
	}
	if _, err := f.conn.Write(ping); err != nil {
		return err
	}
	pong, err := f.receive("PONG", 5)
	if err != nil {
		return err
	}
	if ok, _ := pong[1].(bool); !ok {
		return errors.New("the receiver refuses the shared key, or user and password")
	}
	host, _ := pong[3].(string)
	if pong[4] != digest(salt, host, nonce, key) {
		return errors.New("the receiver doesn't know the shared key")
	}
	return nil
}

// receive reads a message of the handshake.
func (f *fluent) receive(name string, length int) ([]any, error) {
	v, err := unpack(f.in, 0)
	if err != nil {
		return nil, fmt.Errorf("wait for the receiver's %s: %w", name, err)
	}
	if a, ok := v.([]any); ok && len(a) >= length && a[0] == name {
		return a, nil
	}
	return nil, fmt.Errorf("the receiver sends something else than %s", name)
}

func digest(parts ...string) string {
	h := sha512.New()
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// tagOf returns the tag of a line: rhumb.STACK.SERVICE.
func tagOf(l Line) string {
	if l.Stack == "" {
		return "rhumb." + service(l)
	}
	return "rhumb." + l.Stack + "." + service(l)
}

// entry appends a line as a time and a record.
func (f *fluent) entry(b []byte, l Line) []byte {
	record := []field{{"message", l.Text}, {"service", service(l)}, {"stream", l.Stream()}}
	if l.Stack != "" {
		record = append(record, field{"stack", l.Stack})
	}
	if f.host != "" {
		record = append(record, field{"host", f.host})
	}
	record = append(record, known(l)...)
	size := len(record)
	if len(l.Fields) > 0 {
		size++
	}
	b = packTime(packArray(b, 2), l.Time)
	b = packMap(b, size)
	for _, r := range record {
		b = packString(packString(b, r.name), valid(r.value))
	}
	if len(l.Fields) > 0 {
		b = packMap(packString(b, "fields"), len(l.Fields))
		for name, value := range l.Fields {
			b = packString(packString(b, valid(name)), valid(value))
		}
	}
	return b
}
