package bans

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"rhumb"
	"rhumb/internal/banrule"
)

// readyMade returns the bans of a service with all ready-made rules.
func readyMade() (b rhumb.Bans) {
	b = rhumb.Bans{For: banrule.For, Grow: banrule.Grow, Max: banrule.Max}
	for _, name := range banrule.Names() {
		rules, _ := banrule.ReadyMade(name)
		b.On = append(b.On, rules...)
	}
	return b
}

// FuzzAnyFileIsReadOrSetAside loads any bytes, and what is written then.
func FuzzAnyFileIsReadOrSetAside(f *testing.F) {
	f.Add([]byte(`{"Bans":[{"Client":"203.0.113.7/32","Reference":"A","Until":"2999-01-01T00:00:00Z"}],"Past":[{}]}`))
	f.Add([]byte(`{"Bans":[{"Client":""},{"Client":"::/0"}],"Spared":{"203.0.113.7":"2999-01-01T00:00:00Z"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, fileName), text, 0o600); err != nil {
			t.Fatal(err)
		}
		b := New(Options{Dir: dir})
		if err := b.Load(); err != nil {
			t.Fatal(err)
		}
		if err := b.file.save(); err != nil {
			t.Fatal(err)
		}
		again := New(Options{Dir: dir})
		if err := again.Load(); err != nil || again.Status().Active > b.Status().Active {
			t.Errorf("%d bans, and then %d, %v", b.Status().Active, again.Status().Active, err)
		}
	})
}

func TestReadyMadeRulesBanWhatTheirNamesSay(t *testing.T) {
	for _, c := range []struct {
		method, path string
		status       int
		count        int
		banned       bool
	}{
		{"POST", "/login", 401, 5, true},
		{"POST", "/users/sign_in", 422, 5, true},
		{"POST", "/login", 401, 4, false},
		{"POST", "/login", 302, 50, false},
		{"GET", "/login", 401, 50, false},
		{"GET", "/.env", 404, 3, true},
		{"GET", "/blog/.git/config", 403, 3, true},
		{"GET", "/wp-admin/setup.php", 404, 3, true},
		{"GET", "/wp-admin/index.php", 200, 1000, false},
		{"GET", "/picture.png", 404, 99, false},
		{"GET", "/picture.png", 404, 100, true},
		{"POST", "/wp-login.php", 200, 5, true},
		{"POST", "/wp-login.php", 302, 50, false},
		{"GET", "/", 200, 1999, false},
		{"GET", "/", 200, 2000, true},
		{"GET", "/", 429, 100, true},
	} {
		b := newBook(t, Options{})
		b.Serve(tableOf(readyMade()))
		for range c.count {
			b.Note("shop/web:80", Request{Client: netip.MustParseAddr("203.0.113.7"), Method: c.method, Path: c.path,
				Status: c.status})
		}
		if got := refused(b, "203.0.113.7"); got != c.banned {
			t.Errorf("%s %s with %d, %d times, is banned: %v", c.method, c.path, c.status, c.count, got)
		}
	}
}

func TestBansSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		b := newBook(t, Options{Dir: dir})
		stop := run(t, b)
		fail(b, "203.0.113.7", 3)
		time.Sleep(time.Second) // the later one is listed first
		if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: netip.MustParsePrefix("203.0.114.9/24"), By: "ada",
			Reason: "noise"}); err != nil {
			t.Fatal(err)
		}
		if err := b.Spare(t.Context(), netip.MustParseAddr("203.0.113.9")); err != nil {
			t.Fatal(err)
		}
		before, _ := b.Bans(t.Context())
		stop()
		again := newBook(t, Options{Dir: dir})
		after, _ := again.Bans(t.Context())
		was, _ := json.Marshal(before) // without the clocks of the process
		is, _ := json.Marshal(after)
		if len(after) != 2 || string(was) != string(is) {
			t.Errorf("after a restart there are\n%s, not\n%s", is, was)
		}
		if !refused(again, "203.0.114.1") {
			t.Error("a range isn't banned after a restart")
		}
		fail(again, "203.0.113.9", 3)
		if refused(again, "203.0.113.9") {
			t.Error("an address of a user isn't spared after a restart")
		}
		defer run(t, again)()
		time.Sleep(2 * time.Minute) // the ban ends, and is remembered
		fail(again, "203.0.113.7", 3)
		if list, _ := again.Bans(t.Context()); list[0].Until.Sub(list[0].Since) != 2*time.Minute {
			t.Errorf("the earlier ban is forgotten: %+v", list[0])
		}
	})
}

func TestBansOfClientsThatAreNeverBannedByNowAreDropped(t *testing.T) {
	dir := t.TempDir()
	b := newBook(t, Options{Dir: dir})
	for _, p := range []string{"203.0.113.0/24", "198.51.100.7/32"} {
		if _, err := b.Ban(t.Context(), rhumb.BanOrder{Client: netip.MustParsePrefix(p)}); err != nil {
			t.Fatal(err)
		}
	}
	again := newBook(t, Options{Dir: dir, Trusted: []netip.Prefix{netip.MustParsePrefix("203.0.113.9/32")}})
	if refused(again, "203.0.113.9") || !refused(again, "198.51.100.7") {
		t.Error("a trusted proxy is banned, or another client isn't")
	}
}

func TestADamagedFileOfBansIsSetAside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), []byte(`{"Bans":[{]`), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBook(t, Options{Dir: dir})
	fail(b, "203.0.113.7", 3)
	if err := b.file.save(); err != nil {
		t.Fatal(err)
	}
	kept, err := filepath.Glob(filepath.Join(dir, "bans.json.*.bad"))
	if err != nil || len(kept) != 1 {
		t.Errorf("set aside are %v, %v", kept, err)
	}
}

func TestARestingBookFollowsItsSuccessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		old := newBook(t, Options{Dir: dir})
		defer run(t, old)()
		fail(old, "203.0.113.7", 3)
		old.Rest()
		next := newBook(t, Options{Dir: dir})
		defer run(t, next)()
		if !refused(next, "203.0.113.7") {
			t.Error("the successor doesn't know the ban")
		}
		fail(next, "203.0.113.8", 3)
		if _, err := next.Unban(t.Context(), netip.MustParsePrefix("203.0.113.7/32")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if refused(old, "203.0.113.7") || !refused(old, "203.0.113.8") {
			t.Error("the old book doesn't follow")
		}
		fail(old, "203.0.113.9", 3) // it isn't the old one's to write any more
		time.Sleep(2 * time.Second)
		if again := newBook(t, Options{Dir: dir}); refused(again, "203.0.113.9") {
			t.Error("the old book has written the file")
		}
	})
}
