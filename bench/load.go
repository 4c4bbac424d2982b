package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	request = "GET /%s HTTP/1.1\r\nHost: %s\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, br\r\nCookie: session=0123456789abcdef\r\n\r\n"
	answer = "HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 22:00:00 GMT\r\nContent-Type: text/plain\r\n" +
		"Content-Length: %d\r\nCache-Control: no-store\r\n\r\n%shello"
	large = 64 << 10
)

// asker is a client.
type asker interface {
	// ask sends a request, and reads its answer.
	ask(ctx context.Context) error
	close()
}

// load is what clients do together.
type load struct {
	clients int
	during  time.Duration
	rate    float64 // requests a second of all; 0: as fast as they are answered
}

// run has the clients ask, and returns how long each request took. At a rate that counts from when the request was due.
func (l load) run(ctx context.Context, client func() (asker, error)) (series, error) {
	took, errs := make([]series, l.clients), make([]error, l.clients)
	begin := time.Now().Add(50 * time.Millisecond)
	var all sync.WaitGroup
	for i := range l.clients {
		all.Go(func() {
			c, err := client()
			if err != nil {
				errs[i] = err
				return
			}
			defer c.close()
			took[i], errs[i] = l.askOver(ctx, c, i, begin)
		})
	}
	all.Wait()
	return slices.Concat(took...), errors.Join(errs...)
}

// askOver asks over and over as the client of that number.
func (l load) askOver(ctx context.Context, c asker, number int, begin time.Time) (took series, err error) {
	due, every := begin, time.Duration(0)
	if l.rate > 0 {
		every = time.Duration(float64(l.clients) / l.rate * float64(time.Second))
		due = due.Add(every * time.Duration(number) / time.Duration(l.clients))
	}
	for end := begin.Add(l.during); due.Before(end); {
		time.Sleep(time.Until(due))
		if err := c.ask(ctx); err != nil {
			return took, err
		}
		now := time.Now()
		took = append(took, now.Sub(due))
		if due = due.Add(every); every == 0 {
			due = now
		}
	}
	return took, nil
}

// plain asks over TCP.
type plain struct {
	addr   string
	out    []byte
	closes bool // after each answer
	conn   net.Conn
	buf    []byte
}

func newPlain(addr, path, host string, closes bool) *plain {
	return &plain{addr: addr, out: fmt.Appendf(nil, request, path, host), closes: closes, buf: make([]byte, large+4<<10)}
}

func (p *plain) ask(ctx context.Context) (err error) {
	if p.conn == nil {
		var d net.Dialer
		if p.conn, err = d.DialContext(ctx, "tcp", p.addr); err != nil {
			return err
		}
	}
	if _, err := p.conn.Write(p.out); err != nil {
		return err
	}
	for n := 0; !bytes.HasSuffix(p.buf[:n], []byte("hello")); {
		m, err := p.conn.Read(p.buf[n:])
		if n += m; err != nil {
			return fmt.Errorf("after %.100q: %w", p.buf[:n], err)
		}
	}
	if p.closes {
		p.close()
	}
	return nil
}

func (p *plain) close() {
	if p.conn != nil {
		_ = p.conn.Close()
		p.conn = nil
	}
}

// secure asks over HTTP/2, on a connection of its own.
type secure struct {
	client http.Client
	url    string
}

func newSecure(addr, host string) *secure {
	protocols := new(http.Protocols)
	protocols.SetHTTP2(true)
	return &secure{url: "https://" + host + "/small", client: http.Client{Transport: &http.Transport{
		Protocols: protocols, DisableCompression: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the certificate is ours
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", addr)
		},
	}}}
}

func (s *secure) ask(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return err
	}
	res, err := s.client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if e := res.Body.Close(); err == nil {
		err = e
	}
	if err == nil && (res.StatusCode != http.StatusOK || res.ProtoMajor != 2) {
		err = fmt.Errorf("%s answers %s %s", s.url, res.Proto, res.Status)
	}
	return err
}

func (s *secure) close() { s.client.CloseIdleConnections() }
