package bans

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

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
		if err := b.save(); err != nil {
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
			b.Note("shop/web:80", Request{netip.MustParseAddr("203.0.113.7"), c.method, c.path, c.status})
		}
		if got := refused(b, "203.0.113.7"); got != c.banned {
			t.Errorf("%s %s with %d, %d times, is banned: %v", c.method, c.path, c.status, c.count, got)
		}
	}
}
