package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// Ways through which a small request is measured. Each is a process of its own, one CPU wide.
const (
	wayOwn      = "rhumb"
	wayStandard = "rhumb, standard library"
	wayNginx    = "nginx"
)

const (
	proxyClients = 32
	proxyRound   = 2 * time.Second
	ask          = "GET /%s HTTP/1.1\r\nHost: shop.test\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n" +
		"Accept: text/html,*/*;q=0.8\r\nAccept-Encoding: gzip, br\r\nCookie: session=0123456789abcdef\r\n\r\n"
	answer = "HTTP/1.1 200 OK\r\nDate: Sat, 28 Nov 2026 22:00:00 GMT\r\nContent-Type: text/plain\r\n" +
		"Content-Length: %d\r\nCache-Control: no-store\r\n\r\n%shello"
	large = 64 << 10
)

// kinds are what is asked for, in turns.
var kinds = []struct {
	name   string
	path   string
	closes bool // after each answer
}{{"small answers", "small", false}, {"64 kB answers", "large", false}, {"a connection per request", "small", true}}

// through is one way: a process that passes requests on to the replica.
type through struct {
	name string
	addr string
	cmd  *exec.Cmd
	cpu  []series // per request, by kind
}

// measureProxy compares the CPU time that one small request costs, with the ways in turns.
func measureProxy(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "rhumb-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	replica, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer replica.Close()
	go serveCanned(replica) // ends with its listener
	ways := []*through{{name: wayNginx}, {name: wayOwn}, {name: wayStandard}}
	if o.nginx == "" {
		ways = ways[1:]
	}
	for i, w := range ways {
		if err := w.start(ctx, o, filepath.Join(dir, strconv.Itoa(i)), replica.Addr().String()); err != nil {
			return err
		}
		defer w.stop()
	}
	for range o.n + 1 {
		for _, w := range ways {
			for k := range kinds {
				if err := w.round(ctx, k); err != nil {
					return fmt.Errorf("%s: %w", w.name, err)
				}
			}
		}
	}
	fmt.Printf("CPU time of a request through one process, %d clients, %d rounds in turns\n", proxyClients, o.n)
	for k, kind := range kinds {
		fmt.Println(kind.name)
		first := micros(ways[0].cpu[k][1:].median()) // the first round warms up
		for _, w := range ways {
			cpu := micros(w.cpu[k][1:].median())
			fmt.Printf("  %-26s %6.1f µs  (%.2f of %s)\n", w.name, cpu, cpu/first, ways[0].name)
		}
	}
	return nil
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

// serveCanned answers each request with the same bytes.
func serveCanned(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { // ends with its connection
			defer c.Close()
			buf, small := make([]byte, 8<<10), fmt.Appendf(nil, answer, 5, "")
			rest := strings.Repeat("x", large-5)
			big := fmt.Appendf(nil, answer, large, rest)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				back := small
				if bytes.HasPrefix(buf[:n], []byte("GET /large")) {
					back = big
				}
				if _, err := c.Write(back); err != nil {
					return
				}
			}
		}()
	}
}

func (w *through) start(ctx context.Context, o options, dir, replica string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.addr = l.Addr().String()
	if err := l.Close(); err != nil { // the process binds it again
		return err
	}
	if w.name == wayNginx {
		conf := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf(nginxConf, filepath.Join(dir, "pid"), replica, w.addr, dir, dir, dir, dir, dir)
		if err := os.WriteFile(conf, []byte(text), 0o644); err != nil {
			return err
		}
		w.cmd = exec.Command(o.nginx, "-c", conf, "-p", dir, "-e", filepath.Join(dir, "error.log"))
	} else {
		w.cmd = exec.Command("/proc/self/exe", "-part", "through", "-socket", filepath.Join(dir, "s"),
			"-standard="+strconv.FormatBool(w.name == wayStandard), w.addr, replica)
		w.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	}
	w.cmd.Stdout, w.cmd.Stderr = os.Stderr, os.Stderr
	if err := w.cmd.Start(); err != nil {
		return err
	}
	return answers(ctx, w.addr)
}

// nginxConf is that of an nginx that forwards as rhumb does: with the fields about the client, and kept connections.
const nginxConf = `daemon off; master_process off; pid %s; worker_rlimit_nofile 1024;
events { worker_connections 512; }
http {
  access_log off; keepalive_requests 1000000000;
  upstream shop { server %s; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen %s; server_name shop.test;
    location / {
      proxy_pass http://shop; proxy_http_version 1.1;
      proxy_set_header Connection ""; proxy_set_header Host $host; proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }
  client_body_temp_path %s/b; proxy_temp_path %s/p; fastcgi_temp_path %s/f; uwsgi_temp_path %s/u; scgi_temp_path %s/s;
}
`

// passOn is the process of a way through rhumb.
func passOn(ctx context.Context, socket string, standard bool, addr, replica string) error {
	p, err := proxy.New(proxy.Options{StandardHTTP: standard, Socket: socket})
	if err != nil {
		return err
	}
	table := rhumb.Table{Version: 1,
		Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort(addr), Protocol: rhumb.HTTP}},
		Rules:     []rhumb.Rule{{Host: "shop.test", Backend: "shop"}},
		Backends: []rhumb.Backend{{Name: "shop", Stack: "shop", Service: "web", Endpoints: []rhumb.Endpoint{
			{Replica: "a", Name: "a", Release: 1, Addr: netip.MustParseAddrPort(replica)}}}}}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		if err := p.Apply(ctx, table); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	})
	return p.Run(ctx)
}

func (w *through) stop() {
	_ = w.cmd.Process.Signal(syscall.SIGTERM)
	_ = w.cmd.Wait()
}

// round sends requests for a while, and notes what each has cost the process.
func (w *through) round(ctx context.Context, kind int) error {
	before, err := cpuTime(w.cmd.Process.Pid)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, proxyRound)
	defer cancel()
	var requests atomic.Int64
	errs := make([]error, proxyClients)
	var clients sync.WaitGroup
	for i := range errs {
		clients.Go(func() { errs[i] = askFor(ctx, kind, w.addr, &requests) })
	}
	clients.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	after, err := cpuTime(w.cmd.Process.Pid)
	if err != nil {
		return err
	}
	if w.cpu == nil {
		w.cpu = make([]series, len(kinds))
	}
	w.cpu[kind] = append(w.cpu[kind], (after-before)/time.Duration(max(1, requests.Load())))
	return nil
}

// askFor asks for a kind until ctx ends.
func askFor(ctx context.Context, kind int, addr string, requests *atomic.Int64) error {
	turns := 1 << 40
	if kinds[kind].closes {
		turns = 1
	}
	for ctx.Err() == nil {
		if err := askOn(ctx, fmt.Appendf(nil, ask, kinds[kind].path), turns, addr, requests); err != nil {
			return err
		}
	}
	return nil
}

// askOn sends one request after the other on a connection, until there were enough or ctx ends.
func askOn(ctx context.Context, out []byte, turns int, addr string, requests *atomic.Int64) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	buf := make([]byte, large+4<<10)
	for i := 0; i < turns && ctx.Err() == nil; i++ {
		if _, err := c.Write(out); err != nil {
			return err
		}
		for n := 0; !bytes.HasSuffix(buf[:n], []byte("hello")); {
			m, err := c.Read(buf[n:])
			if n += m; err != nil {
				return err
			}
		}
		requests.Add(1)
	}
	return nil
}

// cpuTime returns the time that the threads of a process have spent on CPUs.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d has no threads: %w", pid, errors.Join(err, io.EOF))
	}
	var sum time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.Fields(string(b) + " 0")[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n)
	}
	return sum, nil
}
