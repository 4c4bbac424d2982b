package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"rhumb"
	"rhumb/proxy"
)

const (
	turnRequests = 4000 // of each proxy in each turn
	turnClients  = 8
	turnsARound  = 5
)

// compareProxies measures how much CPU time the proxies of two binaries take for a request. They take turns at the same
// endpoint, with connections that are kept.
func compareProxies(ctx context.Context, o options) error {
	if o.against == "" {
		fmt.Printf("The proxy is compared with another one only with -against\n\n")
		return nil
	}
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok")
	}))
	defer endpoint.Close()
	before, err := newProxied(ctx, o.against, endpoint.Listener.Addr())
	if err != nil {
		return err
	}
	defer before.close()
	now, err := newProxied(ctx, o.rhumb, endpoint.Listener.Addr())
	if err != nil {
		return err
	}
	defer now.close()
	var beforeT, nowT series
	for i := range turnsARound*o.n + 1 {
		turn := []*proxied{before, now}
		if i%2 == 1 {
			turn[0], turn[1] = now, before
		}
		took := map[*proxied]time.Duration{}
		for _, p := range turn {
			if took[p], err = p.ask(ctx); err != nil {
				return err
			}
		}
		if i > 0 { // the first turn warms up
			beforeT, nowT = append(beforeT, took[before]), append(nowT, took[now])
		}
	}
	fmt.Printf("CPU time of the proxy for %d requests, %d at a time, %d turns each\n", turnRequests, turnClients,
		len(nowT))
	report(o.against, beforeT, beforeT)
	report(o.rhumb, nowT, beforeT)
	fmt.Printf("  %-46s %.3f\n\n", "ratio of all turns together", float64(nowT.sum())/float64(beforeT.sum()))
	return nil
}

// proxied is an endpoint behind a proxy of its own.
type proxied struct {
	dir    string
	cmd    *exec.Cmd
	url    string
	client *http.Client
}

func newProxied(ctx context.Context, binary string, endpoint net.Addr) (*proxied, error) {
	dir, err := os.MkdirTemp("", "rhumb-bench-")
	if err != nil {
		return nil, err
	}
	p := &proxied{dir: dir, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: turnClients}}}
	p.cmd = exec.Command(binary, "proxy", "--state", filepath.Join(dir, "proxy"), "--socket", p.socket(),
		"--observe", "off")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := p.route(ctx, endpoint); err != nil {
		p.close()
		return nil, fmt.Errorf("the proxy of %s doesn't answer: %w", binary, err)
	}
	return p, nil
}

func (p *proxied) socket() string { return filepath.Join(p.dir, "control.sock") }

// route leads the requests at a free port to an endpoint.
func (p *proxied) route(ctx context.Context, endpoint net.Addr) error {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		return err
	}
	p.url = "http://" + addr + "/"
	const name = "bench/web:80"
	table := rhumb.Table{Version: 1,
		Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort(addr), Protocol: rhumb.HTTP, Backend: name}},
		Backends: []rhumb.Backend{{Name: name, Stack: "bench", Service: "web", Endpoints: []rhumb.Endpoint{
			{Replica: "bench", Name: "bench-web.1.1", Release: 1, Addr: netip.MustParseAddrPort(endpoint.String())}}}}}
	router := proxy.Dial(p.socket())
	for range 200 {
		if err = router.Apply(ctx, table); err == nil {
			return answersHTTP(ctx, p.url)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// ask returns how much CPU time the proxy takes for the requests of a turn.
func (p *proxied) ask(ctx context.Context) (time.Duration, error) {
	before := cpuOf(p.cmd.Process.Pid)
	g, ctx := errgroup.WithContext(ctx)
	for range turnClients {
		g.Go(func() error {
			for range turnRequests / turnClients {
				if err := p.get(ctx); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	return cpuOf(p.cmd.Process.Pid) - before, err
}

func (p *proxied) get(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return err
	}
	res, err := p.client.Do(r)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if e := res.Body.Close(); err == nil {
		err = e
	}
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", p.url, res.Status)
	}
	return err
}

// close ends the proxy.
func (p *proxied) close() {
	p.client.CloseIdleConnections()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	_ = p.cmd.Wait()
	os.RemoveAll(p.dir)
}
