package crowdsec

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb/proxy/internal/bans"
)

// scripted is a local API that answers as a test says.
type scripted struct {
	mu     sync.Mutex
	status int
	body   string
	asked  []string
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, r.URL.String()+" "+r.Header.Get("X-Api-Key")+" "+r.UserAgent())
	w.WriteHeader(s.status)
	fmt.Fprint(w, s.body)
}

func (s *scripted) answer(status int, body string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status, s.body = status, body
}

func keyFile(t *testing.T, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newBouncer(t *testing.T, url, key string) (*Bouncer, *bans.Book) {
	t.Helper()
	book := bans.New(bans.Options{})
	b, err := New(Options{URL: url, KeyFile: keyFile(t, key), Version: "1"}, book)
	if err != nil {
		t.Fatal(err)
	}
	return b, book
}

// wantBanned fails unless exactly these of the clients are banned.
func wantBanned(t *testing.T, book *bans.Book, want map[string]bool) {
	t.Helper()
	for client, banned := range want {
		if _, got := book.Refuses(netip.MustParseAddr(client)); got != banned {
			t.Errorf("%s is banned: %v, want %v", client, got, banned)
		}
	}
}

func TestDecisionsAreEnforcedAndKept(t *testing.T) {
	api := &scripted{}
	s := httptest.NewServer(api)
	defer s.Close()
	b, book := newBouncer(t, s.URL+"/", "secret")
	turn := func() error {
		_, _, err := b.turn(t.Context())
		if err != nil {
			b.whole = false // as Run does
		}
		return err
	}
	api.answer(200, `{"new":[
		{"duration":"1h2m3.5s","scope":"Ip","type":"ban","value":"203.0.113.7","scenario":"ssh-bf","origin":"crowdsec"},
		{"duration":"1h","scope":"Range","type":"ban","value":"203.0.114.0/24","scenario":"list","origin":"CAPI"},
		{"duration":"1h","scope":"Ip","type":"ban","value":"2001:db8::7"},
		{"duration":"1h","scope":"Ip","type":"captcha","value":"203.0.113.8"},
		{"duration":"1h","scope":"Country","type":"ban","value":"XX"},
		{"duration":"1h","scope":"Ip","type":"ban","value":"nonsense"},
		{"duration":"1h","scope":"Ip","type":"ban","value":"10.0.0.1"}],"deleted":null}`)
	if err := turn(); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"203.0.113.7": true, "203.0.114.9": true, "2001:db8::7": true, "203.0.113.8": false,
		"10.0.0.1": false}
	wantBanned(t, book, want)
	if st := b.Status(); !strings.Contains(st, "3 are of a kind") || !strings.Contains(st, "1 are about clients") {
		t.Errorf("the status is %q", st)
	}
	api.answer(200, `{"new":[{"duration":"1h","scope":"Ip","type":"ban","value":"203.0.113.9"}],
		"deleted":[{"duration":"-1s","scope":"Ip","type":"ban","value":"203.0.113.7"}]}`)
	if err := turn(); err != nil {
		t.Fatal(err)
	}
	want["203.0.113.7"], want["203.0.113.9"] = false, true
	wantBanned(t, book, want)
	api.answer(500, "")
	if err := turn(); err == nil {
		t.Error("a failure is taken for an answer")
	}
	wantBanned(t, book, want)
	api.answer(200, `{"new":[{"duration":"1h","scope":"Ip","type":"ban","value":"203.0.113.7"}],"deleted":[]}`)
	if err := turn(); err != nil {
		t.Fatal(err)
	}
	wantBanned(t, book, map[string]bool{"203.0.113.7": true, "203.0.113.9": false, "203.0.114.9": false})
	api.mu.Lock()
	asked := strings.Join(api.asked, "\n")
	api.mu.Unlock()
	const path, rest = "/v1/decisions/stream?startup=", " secret rhumb/1"
	if asked != path+"true"+rest+"\n"+path+"false"+rest+"\n"+path+"false"+rest+"\n"+path+"true"+rest {
		t.Errorf("it asked\n%s", asked)
	}
}

func TestARefusedKeyIsReported(t *testing.T) {
	api := &scripted{status: 403}
	s := httptest.NewServer(api)
	defer s.Close()
	b, _ := newBouncer(t, s.URL, "wrong")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Run(ctx) }()
	late := time.After(5 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(b.Status(), "refuses the key") {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("the status is %q", b.Status())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestTheKeyGoesNowhereElse(t *testing.T) {
	other := &scripted{status: http.StatusOK, body: "{}"}
	s := httptest.NewServer(other)
	defer s.Close()
	api := httptest.NewServer(http.RedirectHandler(s.URL+"/v1/decisions/stream", http.StatusTemporaryRedirect))
	defer api.Close()
	b, _ := newBouncer(t, api.URL, "secret")
	if _, _, err := b.turn(t.Context()); err == nil || !strings.Contains(err.Error(), "307") {
		t.Errorf("a redirect gives %v", err)
	}
	if len(other.asked) > 0 {
		t.Errorf("the redirect was followed: %q", other.asked)
	}
}

func TestAURLThatCantBeUsedIsRefused(t *testing.T) {
	for _, u := range []string{"", "127.0.0.1:8080", "ftp://a", "http://", "http://a?b=c", "http://a\x00"} {
		if _, err := New(Options{URL: u, KeyFile: "k"}, bans.New(bans.Options{})); err == nil {
			t.Errorf("%q is accepted", u)
		}
	}
	if _, err := New(Options{URL: "http://a"}, bans.New(bans.Options{})); err == nil {
		t.Error("no key is needed")
	}
}

func FuzzAnyAnswerIsRead(f *testing.F) {
	f.Add(`{"new":[{"duration":"1h","scope":"Ip","type":"ban","value":"203.0.113.7"}],"deleted":null}`)
	api := &scripted{}
	s := httptest.NewServer(api)
	f.Cleanup(s.Close)
	key := filepath.Join(f.TempDir(), "key")
	if err := os.WriteFile(key, []byte("k"), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body string) {
		book := bans.New(bans.Options{})
		b, err := New(Options{URL: s.URL, KeyFile: key}, book)
		if err != nil {
			t.Fatal(err)
		}
		api.answer(200, body)
		_, _, _ = b.turn(t.Context())
		if _, banned := book.Refuses(netip.MustParseAddr("127.0.0.1")); banned {
			t.Error("a private address is banned")
		}
	})
}
