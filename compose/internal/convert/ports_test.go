package convert

import (
	"testing"

	"github.com/compose-spec/compose-go/v2/types"
)

// FuzzPort compares the check of the short port syntax with the library: it must refuse what the library refuses, and
// count the same number of ports.
func FuzzPort(f *testing.F) {
	for _, s := range []string{"80", "80:80", "1-3:1-3", "127.0.0.1:80:80/udp", "[::1]:80:80", "::80", ":", "80:",
		"80/tcp/udp", "[", "0", "9-19:80", "+80", "1_0", "80-", "1.1.1.1::80", "::1:80:80", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		count, reason, hint := ShortPort(s)
		if reason != "" {
			if hint == "" {
				t.Errorf("%q is bad and there is no hint", s)
			}
			return
		}
		ports, err := types.ParsePortConfig(s)
		if err != nil {
			t.Errorf("%q passes, and the library says %v", s, err)
		} else if len(ports) != count {
			t.Errorf("%q is %d ports, not %d", s, len(ports), count)
		}
	})
}
