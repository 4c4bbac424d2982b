package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"sync"

	"rhumb"
	"rhumb/proxy"
)

// partThrough is the part that a process of -part proxy runs.
const partThrough = "through"

// site is what each proxy serves.
type site struct {
	Way            string
	HTTP, TLS, TCP string // addresses
	Replica        string // address of what answers
	Hosts          []string
	Cert, Key      string // files
	Dir            string // a folder of its own
	Log            bool   // a line for each request
}

// passOn is the process of a proxy that this program itself has: rhumb's, or what Go's library makes easy.
func passOn(ctx context.Context, arg string) error {
	var s site
	if err := json.Unmarshal([]byte(arg), &s); err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(s.Cert, s.Key)
	if err != nil {
		return err
	}
	if s.Way == wayLibrary {
		return s.byLibrary(ctx, cert)
	}
	o := proxy.Options{StandardHTTP: s.Way == wayStandard, Certificates: certificate{cert}}
	if s.Log {
		f, err := os.Create(s.Dir + "/access.log")
		if err != nil {
			return err
		}
		defer f.Close()
		o.Access = f
	}
	p, err := proxy.New(o)
	if err != nil {
		return err
	}
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		if err := p.Apply(ctx, s.table()); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	})
	return p.Run(ctx)
}

// table returns rhumb's.
func (s *site) table() rhumb.Table {
	t := rhumb.Table{Version: 1,
		Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort(s.HTTP), Protocol: rhumb.HTTP},
			{Addr: netip.MustParseAddrPort(s.TLS), Protocol: rhumb.HTTPS},
			{Addr: netip.MustParseAddrPort(s.TCP), Protocol: rhumb.TCP, Backend: "shop"}},
		Backends: []rhumb.Backend{{Name: "shop", Stack: "shop", Service: "web", AccessLog: s.Log,
			Endpoints: []rhumb.Endpoint{{Replica: "a", Name: "a", Release: 1,
				Addr: netip.MustParseAddrPort(s.Replica)}}}}}
	for _, h := range s.Hosts {
		t.Rules = append(t.Rules, rhumb.Rule{Host: h, Backend: "shop"})
	}
	return t
}

// certificate is one for all names.
type certificate struct{ cert tls.Certificate }

func (certificate) Manage(context.Context, rhumb.Table) {}

func (c certificate) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &c.cert, nil }

func (certificate) Good(string) bool                                  { return false }
func (certificate) Challenge(http.ResponseWriter, *http.Request) bool { return false }
func (certificate) Rest()                                             {}
func (certificate) Status() []rhumb.CertificateStatus                 { return nil }

// byLibrary passes on with httputil.ReverseProxy and io.Copy.
func (s *site) byLibrary(ctx context.Context, cert tls.Certificate) error {
	known := map[string]*url.URL{}
	for _, h := range s.Hosts {
		known[h] = &url.URL{Scheme: "http", Host: s.Replica}
	}
	web := &http.Server{TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}},
		Handler: &httputil.ReverseProxy{
			Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
			Rewrite: func(r *httputil.ProxyRequest) {
				if to := known[r.In.Host]; to != nil {
					r.SetURL(to)
				}
				r.Out.Host = r.In.Host
				r.SetXForwarded()
			}}}
	var ls [3]net.Listener
	for i, addr := range []string{s.HTTP, s.TLS, s.TCP} {
		var err error
		if ls[i], err = net.Listen("tcp", addr); err != nil {
			return err
		}
		context.AfterFunc(ctx, func() { _ = ls[i].Close() })
	}
	context.AfterFunc(ctx, func() { _ = web.Close() })
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() { _ = web.Serve(ls[0]) }) // they end with ctx
	work.Go(func() { _ = web.ServeTLS(ls[1], "", "") })
	return s.copyTCP(ls[2])
}

// copyTCP passes connections on until the listener is closed.
func (s *site) copyTCP(l net.Listener) error {
	for {
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go func() { // ends with its connection
			defer c.Close()
			to, err := net.Dial("tcp", s.Replica)
			if err != nil {
				return
			}
			defer to.Close()
			go func() {
				_, _ = io.Copy(to, c)
				_ = to.Close()
			}()
			_, _ = io.Copy(c, to)
		}()
	}
}
