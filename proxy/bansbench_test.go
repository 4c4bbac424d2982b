package proxy_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/banrule"
	"rhumb/proxy"
)

// bookOf writes a book with so many bans into a folder.
func bookOf(t testing.TB, dir string, n int) {
	t.Helper()
	var book struct{ Bans []rhumb.Ban }
	for i := range n {
		a := netip.AddrFrom4([4]byte{203, byte(i >> 16), byte(i >> 8), byte(i)})
		book.Bans = append(book.Bans, rhumb.Ban{Client: netip.PrefixFrom(a, 32), Reference: "R", Since: time.Now(),
			Until: time.Now().Add(time.Hour)})
	}
	text, err := json.Marshal(book)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "bans.json"), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkRequestWithBans compares requests without bans, with all ready-made rules, and with 100,000 bans beside
// them. The client isn't banned.
func BenchmarkRequestWithBans(b *testing.B) {
	var rules rhumb.Bans
	for _, name := range banrule.Names() {
		if name != "flood" { // which would ban us
			of, _ := banrule.ReadyMade(name)
			rules.On = append(rules.On, of...)
		}
	}
	e := web(b, "a", nil)
	for _, c := range []struct {
		name string
		bans int
		of   rhumb.Bans
	}{{"none", 0, rhumb.Bans{}}, {"rules", 0, rules}, {"rules and 100000 bans", 100_000, rules}} {
		dir, addr := b.TempDir(), freeAddr(b)
		bookOf(b, dir, c.bans)
		p := start(b, proxy.Options{State: dir})
		apply(b, p, banning(1, addr, rhumb.HTTP, c.of, e))
		if st, err := p.Status(b.Context()); err != nil || st.Bans.Active != c.bans {
			b.Fatalf("%d bans, want %d, %v", st.Bans.Active, c.bans, err)
		}
		b.Run(c.name, func(b *testing.B) {
			tr := &http.Transport{MaxIdleConnsPerHost: 64}
			defer tr.CloseIdleConnections()
			client := &http.Client{Transport: tr}
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					r, err := client.Get("http://" + addr.String())
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
