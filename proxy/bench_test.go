package proxy_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"rhumb"
	"rhumb/proxy"
)

// Each benchmark has a direct run and one through the proxy, in one process: the ratio is what counts.

func BenchmarkRequest(b *testing.B) {
	e := web(b, "a", nil)
	addr := freeAddr(b)
	apply(b, start(b, proxy.Options{}), one(1, addr, rhumb.HTTP, 0, e))
	for _, c := range []struct{ name, url string }{{"direct", e.Addr.String()}, {"proxied", addr.String()}} {
		b.Run(c.name, func(b *testing.B) {
			tr := &http.Transport{MaxIdleConnsPerHost: 64}
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, err := client.Get("http://" + c.url)
					if err != nil {
						b.Error(err)
						return
					}
					io.Copy(io.Discard, r.Body)
					r.Body.Close()
				}
			})
		})
	}
}

func BenchmarkDownload(b *testing.B) {
	e := web(b, "a", bigPage)
	addr := freeAddr(b)
	apply(b, start(b, proxy.Options{}), one(1, addr, rhumb.HTTP, 0, e))
	for _, c := range []struct{ name, url string }{{"direct", e.Addr.String()}, {"proxied", addr.String()}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				r, err := http.Get("http://" + c.url)
				if err != nil {
					b.Fatal(err)
				}
				io.Copy(io.Discard, r.Body)
				r.Body.Close()
			}
		})
	}
}

func BenchmarkTCPStream(b *testing.B) {
	e := tcp(b, "sink", func(c net.Conn) { io.Copy(io.Discard, c); fmt.Fprint(c, "x") })
	addr := freeAddr(b)
	apply(b, start(b, proxy.Options{}), one(1, addr, rhumb.TCP, 0, e))
	for _, c := range []struct{ name, addr string }{{"direct", e.Addr.String()}, {"proxied", addr.String()}} {
		b.Run(c.name, func(b *testing.B) {
			conn, err := net.Dial("tcp", c.addr)
			if err != nil {
				b.Fatal(err)
			}
			defer conn.Close()
			chunk := make([]byte, 1<<20)
			b.SetBytes(int64(len(chunk)))
			for b.Loop() {
				if _, err := conn.Write(chunk); err != nil {
					b.Fatal(err)
				}
			}
			conn.(*net.TCPConn).CloseWrite()
			if _, err := conn.Read(chunk[:1]); err != nil {
				b.Fatal(err)
			}
		})
	}
}

func BenchmarkTCPConnection(b *testing.B) {
	e := tcp(b, "hello", func(c net.Conn) { fmt.Fprint(c, "hi") })
	addr := freeAddr(b)
	apply(b, start(b, proxy.Options{}), one(1, addr, rhumb.TCP, 0, e))
	for _, c := range []struct{ name, addr string }{{"direct", e.Addr.String()}, {"proxied", addr.String()}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				if err := line(c.addr); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkStatusOverTheSocket(b *testing.B) {
	dir := b.TempDir()
	start(b, proxy.Options{Socket: dir + "/s"})
	c := proxy.Dial(dir + "/s")
	eventually(b, "it answers", func() bool { _, err := c.Status(b.Context()); return err == nil })
	var es []rhumb.Endpoint
	for range 20 {
		es = append(es, web(b, fmt.Sprint("r", len(es)), nil))
	}
	apply(b, c, one(1, freeAddr(b), rhumb.HTTP, 0, es...))
	for b.Loop() {
		if _, err := c.Status(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
