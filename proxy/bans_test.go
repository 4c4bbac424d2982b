package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/proxy"
)

// signIn answers each sign-in with 401.
func signIn(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/login" {
		w.WriteHeader(http.StatusUnauthorized)
	}
	fmt.Fprint(w, "hello")
}

// loopback are the rules of the tests' services, whose clients are in the network 127.0.0.0/8.
var loopback = rhumb.Bans{For: time.Hour, Private: true, On: []rhumb.BanRule{
	{Name: "login", Status: []rhumb.StatusRange{{From: 401, To: 401}}, Methods: []string{"POST"}, Count: 3,
		In: time.Minute},
}}

// banning returns a table of one backend with these bans.
func banning(version uint64, addr netip.AddrPort, proto rhumb.Protocol, b rhumb.Bans,
	es ...rhumb.Endpoint) rhumb.Table {
	t := one(version, addr, proto, 0, es...)
	t.Backends[0].Bans = b
	return t
}

// visitor is a client with an address of its own, which keeps its connections.
func visitor(t *testing.T, from string) *http.Client {
	t.Helper()
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	tr := &http.Transport{DialContext: d.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Timeout: 5 * time.Second, Transport: tr}
}

// post sends a request, and returns the status and the body.
func post(t *testing.T, c *http.Client, url string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader("a=b"))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAClientThatFailsTooOftenIsRefused(t *testing.T) {
	l, addr := &accessLog{}, freeAddr(t)
	p := start(t, proxy.Options{Access: l})
	table := banning(1, addr, rhumb.HTTP, loopback, web(t, "a", signIn))
	table.Backends[0].AccessLog = true
	apply(t, p, table)
	bad, good, url := visitor(t, "127.0.0.2"), visitor(t, "127.0.0.3"), "http://"+addr.String()
	for range 3 {
		if status, _ := post(t, bad, url+"/login"); status != 401 {
			t.Fatalf("status %d", status)
		}
		l.take(t)
	}
	status, body := post(t, bad, url+"/")
	line := l.take(t)
	list, err := proxy.BookOf(p).Bans(t.Context())
	if err != nil || len(list) != 1 || list[0].Client != netip.MustParsePrefix("127.0.0.2/32") ||
		list[0].Rule != "login" || list[0].Stack != "shop" || list[0].Service != "web" {
		t.Fatalf("the bans are %+v, %v", list, err)
	}
	if status != 403 || !strings.Contains(body, list[0].Reference) {
		t.Errorf("the banned client gets %d %s, want 403 and %s", status, body, list[0].Reference)
	}
	wantLine(t, line, map[string]any{"status": 403.0, "client": "127.0.0.2",
		"error": "the client is banned: " + list[0].Reference})
	if status, _ := post(t, good, url+"/"); status != 200 {
		t.Errorf("another client gets %d", status)
	}
	st, err := p.Status(t.Context())
	if err != nil || st.Bans.Active != 1 || st.Bans.Refused != 1 {
		t.Errorf("the status is %+v, %v", st.Bans, err)
	}
	if _, err := proxy.BookOf(p).Unban(t.Context(), list[0].Client); err != nil {
		t.Fatal(err)
	}
	if status, _ := post(t, bad, url+"/"); status != 200 {
		t.Errorf("after the end of its ban the client gets %d", status)
	}
}

func TestOnlyTheClientBehindATrustedProxyIsRefused(t *testing.T) {
	addr := freeAddr(t)
	p := start(t, proxy.Options{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.4/32")}})
	apply(t, p, banning(1, addr, rhumb.HTTP, loopback, web(t, "a", signIn)))
	balancer, url := visitor(t, "127.0.0.4"), "http://"+addr.String()
	for range 10 {
		post(t, balancer, url+"/login", "X-Forwarded-For", "203.0.113.7")
		post(t, balancer, url+"/login") // which is a client of its own
	}
	for from, want := range map[string]int{"203.0.113.7": 403, "203.0.113.8": 200, "1.2.3.4, 203.0.113.7": 403} {
		if status, _ := post(t, balancer, url+"/", "X-Forwarded-For", from); status != want {
			t.Errorf("a client at %s gets %d, want %d", from, status, want)
		}
	}
	// A client that claims to be another one is banned under its own address.
	liar := visitor(t, "127.0.0.5")
	for range 3 {
		post(t, liar, url+"/login", "X-Forwarded-For", "203.0.113.9")
	}
	if status, _ := post(t, liar, url+"/", "X-Forwarded-For", "203.0.113.10"); status != 403 {
		t.Errorf("a client that lies about its address gets %d", status)
	}
	if status, _ := post(t, balancer, url+"/", "X-Forwarded-For", "203.0.113.9"); status != 200 {
		t.Errorf("the client that was slandered gets %d", status)
	}
}

func TestABannedClientOfHTTP2IsRefused(t *testing.T) {
	addr := freeAddr(t)
	p := start(t, proxy.Options{})
	apply(t, p, banning(1, addr, rhumb.HTTP, loopback, web(t, "a", signIn)))
	c := visitor(t, "127.0.0.2")
	tr := c.Transport.(*http.Transport)
	tr.Protocols = new(http.Protocols)
	tr.Protocols.SetUnencryptedHTTP2(true)
	for range 3 {
		post(t, c, "http://"+addr.String()+"/login")
	}
	if status, body := post(t, c, "http://"+addr.String()+"/"); status != 403 || body != "" {
		t.Errorf("it gets %d %q", status, body)
	}
}

// order bans a client for an hour by hand.
func order(t *testing.T, book proxy.Book, client string) {
	t.Helper()
	if _, err := book.Ban(t.Context(), rhumb.BanOrder{Client: netip.MustParsePrefix(client), For: time.Hour,
		Private: true}); err != nil {
		t.Fatal(err)
	}
}

func TestABanEndsTCPConnectionsAndRefusesNewOnes(t *testing.T) {
	addr := freeAddr(t)
	p := start(t, proxy.Options{})
	apply(t, p, one(1, addr, rhumb.TCP, 0, tcp(t, "a", echo("a"))))
	dial := func(from string) (net.Conn, *bufio.Reader) {
		d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(5 * time.Second))
		return c, bufio.NewReader(c)
	}
	_, bad := dial("127.0.0.2")
	good, answers := dial("127.0.0.3")
	for _, r := range []*bufio.Reader{bad, answers} {
		if _, err := r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	began := time.Now()
	order(t, proxy.BookOf(p), "127.0.0.2/32")
	if _, err := bad.ReadByte(); err == nil || time.Since(began) > 100*time.Millisecond {
		t.Errorf("a connection of the banned client goes on: %v after %s", err, time.Since(began))
	}
	if _, r := dial("127.0.0.2"); true {
		if b, err := r.ReadByte(); err == nil {
			t.Errorf("a new connection of the banned client is served: %q", b)
		}
	}
	fmt.Fprintln(good, "still here")
	if line, err := answers.ReadString('\n'); err != nil || line != "still here\n" {
		t.Errorf("another client gets %q, %v", line, err)
	}
}

func TestDatagramsOfABannedClientAreDropped(t *testing.T) {
	addr := freeAddr(t)
	p := start(t, proxy.Options{})
	apply(t, p, one(1, addr, rhumb.UDP, 0, datagrams(t, "a")))
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.ParseIP("127.0.0.2")}, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	asks := func() bool {
		c.SetDeadline(time.Now().Add(200 * time.Millisecond))
		if _, err := c.Write([]byte("hello")); err != nil {
			return false
		}
		_, err := c.Read(make([]byte, 100))
		return err == nil
	}
	eventually(t, "it is answered", asks)
	order(t, proxy.BookOf(p), "127.0.0.2/32")
	if asks() {
		t.Error("a banned client is answered")
	}
	if _, err := proxy.BookOf(p).Unban(t.Context(), netip.MustParsePrefix("127.0.0.2/32")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is answered again", asks)
}

func TestABannedClientIsClosedBeforeItsHandshake(t *testing.T) {
	certs, err := makePocket([]string{"tls.test"})
	if err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	p := start(t, proxy.Options{Certificates: certs})
	table := one(1, addr, rhumb.HTTPS, 0, web(t, "a", nil))
	table.Listeners[0].Backend = ""
	table.Rules = []rhumb.Rule{{Host: "tls.test", Backend: "shop/web:80"}}
	apply(t, p, table)
	d := net.Dialer{Timeout: 5 * time.Second, LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}}
	shake := func() error {
		c, err := tls.DialWithDialer(&d, "tcp", addr.String(), &tls.Config{ServerName: "tls.test", InsecureSkipVerify: true})
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := shake(); err != nil {
		t.Fatal(err)
	}
	order(t, proxy.BookOf(p), "127.0.0.2/32")
	if shake() == nil {
		t.Error("a banned client shakes hands")
	}
}

func TestConnectionsAreCountedOnTCPPorts(t *testing.T) {
	addr := freeAddr(t)
	p := start(t, proxy.Options{})
	many := rhumb.Bans{For: time.Hour, Private: true, On: []rhumb.BanRule{{Name: "flood", Count: 5, In: time.Minute}}}
	apply(t, p, banning(1, addr, rhumb.TCP, many, tcp(t, "a", echo("a"))))
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP("127.0.0.2")}}
	for range 6 {
		c, err := d.Dial("tcp", addr.String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = bufio.NewReader(c).ReadString('\n') // the ban may have come
		c.Close()
	}
	if list, err := proxy.BookOf(p).Bans(t.Context()); err != nil || len(list) != 1 || list[0].Rule != "flood" {
		t.Errorf("the bans are %+v, %v", list, err)
	}
}

func TestBansAreReachedAtTheControlSocket(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	p := start(t, proxy.Options{State: dir, Socket: socket})
	apply(t, p, banning(1, freeAddr(t), rhumb.HTTP, rhumb.Bans{For: time.Hour, On: []rhumb.BanRule{
		{Name: "rule 1", Log: "mail", Match: "<client>", Count: 2, In: time.Hour}}}, web(t, "a", nil)))
	book, ctx := proxy.DialBook(socket), rhumb.WithActor(t.Context(), rhumb.Actor{Name: "ada", Host: "shop1"})
	ban, err := book.Ban(ctx, rhumb.BanOrder{Client: netip.MustParsePrefix("2001:db8::7/128"), By: "eve@laptop",
		Reason: "noise"})
	if err != nil || ban.By != "ada (eve@laptop)" || ban.Client != netip.MustParsePrefix("2001:db8::/64") {
		t.Errorf("the ban is %+v, %v", ban, err)
	}
	if _, err := book.Ban(ctx, rhumb.BanOrder{Client: netip.MustParsePrefix("10.0.0.1/32")}); rhumb.ErrorCode(err) !=
		rhumb.Denied || !strings.Contains(rhumb.ErrorHint(err), "--private") {
		t.Errorf("a private address: %v, %s", err, rhumb.ErrorHint(err))
	}
	seven := netip.MustParseAddr("203.0.113.7")
	match := rhumb.BanMatch{Stack: "shop", Service: "web", Rule: "rule 1", Client: seven, At: time.Now()}
	if err := book.ReportMatches(ctx, []rhumb.BanMatch{match, match}); err != nil {
		t.Fatal(err)
	}
	answer, err := book.WhyBanned(ctx, seven)
	if err != nil || answer.Ban == nil || answer.Ban.Reason != "2 lines of mail matched rule 1 within 1h" {
		t.Errorf("the answer is %+v, %v", answer, err)
	}
	if err := book.Spare(ctx, seven); err != nil {
		t.Fatal(err)
	}
	ended, err := book.Unban(ctx, netip.MustParsePrefix("2001:db8::/32"))
	if err != nil || len(ended) != 1 {
		t.Errorf("ended are %+v, %v", ended, err)
	}
	if list, err := book.Bans(ctx); err != nil || len(list) != 0 {
		t.Errorf("left are %+v, %v", list, err)
	}
	notes, err := book.BanNews(ctx, 0)
	if err != nil || len(notes) != 4 || notes[0].By != "ada (eve@laptop)" || notes[3].By != "ada" || !notes[3].Ended {
		t.Errorf("the news are %+v, %v", notes, err)
	}
}

func TestBansSurviveATakeoverAndAKill(t *testing.T) {
	dir, addr := t.TempDir(), freeAddr(t)
	first := spawn(t, dir)
	router, book := proxy.Dial(filepath.Join(dir, "s")), proxy.DialBook(filepath.Join(dir, "s"))
	apply(t, router, banning(1, addr, rhumb.HTTP, loopback, web(t, "a", signIn)))
	bad, url := visitor(t, "127.0.0.2"), "http://"+addr.String()
	for range 3 {
		post(t, bad, url+"/login")
	}
	second := spawn(t, dir)
	if status, _ := post(t, bad, url+"/"); status != 403 {
		t.Errorf("after a takeover the client gets %d", status)
	}
	order(t, book, "127.0.0.3/32")
	_ = second.Process.Kill()
	<-second.ended
	_ = first.Process.Kill()
	<-first.ended
	spawn(t, dir)
	for _, from := range []string{"127.0.0.2", "127.0.0.3"} {
		if status, _ := post(t, visitor(t, from), url+"/"); status != 403 {
			t.Errorf("after a kill %s gets %d", from, status)
		}
	}
}
