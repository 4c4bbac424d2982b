package table

import (
	"bytes"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"rhumb"
)

func TestADamagedTableOnDiskIsNotServed(t *testing.T) {
	dir := t.TempDir()
	f := File{Dir: dir, Log: slog.New(slog.DiscardHandler)}
	table := rhumb.Table{
		Version: 41,
		Listeners: []rhumb.Listener{{Addr: netip.MustParseAddrPort("127.0.0.1:80"), Protocol: rhumb.HTTP,
			Backend: "shop/web:80"}},
		Backends: []rhumb.Backend{{Name: "shop/web:80", Stack: "shop", Service: "web",
			Endpoints: []rhumb.Endpoint{{Replica: "id", Name: "shop-web.1.1", Release: 1,
				Addr: netip.MustParseAddrPort("10.1.2.3:80")}}}},
	}
	if err := f.Save(table); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, tableFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	load := func(content []byte) rhumb.Table {
		t.Helper()
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := f.Load()
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := load(whole); !got.Equal(table) {
		t.Fatalf("got %+v", got)
	}
	byHand, _, _ := bytes.Cut(whole, []byte("\n"))
	for _, end := range []string{"", "\n"} {
		if got := load(append(bytes.Clone(byHand), end...)); !got.Equal(table) {
			t.Errorf("without a checksum, ended by %q: %+v", end, got)
		}
	}
	for i := range whole {
		changed := bytes.Clone(whole)
		changed[i] ^= 1
		if got := load(changed); got.Version != 0 {
			t.Errorf("byte %d is changed, and the table is served: %+v", i, got)
		}
		if got := load(whole[:i]); got.Version != 0 && !got.Equal(table) {
			t.Errorf("cut at %d it is taken for %+v", i, got)
		}
	}
}
