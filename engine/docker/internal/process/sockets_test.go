package process

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestListeningSocketsAreFoundByTheirAddress(t *testing.T) {
	var want []netip.AddrPort
	for _, at := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0"} {
		l, err := net.Listen("tcp", at)
		if err != nil {
			t.Logf("%s: %v", at, err) // a machine without IPv6
			continue
		}
		defer l.Close()
		want = append(want, l.Addr().(*net.TCPAddr).AddrPort())
	}
	got, err := Listening(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range want {
		at = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
		if !slices.Contains(got, at) {
			t.Errorf("%s isn't among %v", at, got)
		}
	}
}

func TestOnlySocketsThatAcceptAreListed(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1388 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0
   1: 0100007F:1388 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0
   2: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 0 0 0 0 0
   3: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 0 0 0 0 0
`
	got, err := listening(strings.NewReader(table))
	want := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5000"), netip.MustParseAddrPort("127.0.0.1:80"),
		netip.MustParseAddrPort("[::1]:81")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
	if _, err := listening(strings.NewReader("0: 01:1 0:0 0A")); err == nil {
		t.Error("a broken table is no error")
	}
}

func FuzzASocketTableIsReadOrRefused(f *testing.F) {
	f.Add("   0: 0100007F:1388 00000000:0000 0A 0\n")
	f.Fuzz(func(t *testing.T, table string) {
		list, err := listening(strings.NewReader(table))
		for _, at := range list {
			if err == nil && !at.IsValid() {
				t.Errorf("%q: %v", table, at)
			}
		}
	})
}
