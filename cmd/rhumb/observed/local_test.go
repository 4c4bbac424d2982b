package observed

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestALoopbackAddressAnswersLocalNamesOnly(t *testing.T) {
	for _, c := range []struct {
		addr, host string
		want       int
	}{
		{"127.0.0.1:7485", "127.0.0.1:7485", 200},
		{"127.0.0.1:7485", "localhost:7485", 200},
		{"127.0.0.1:7485", "LOCALHOST", 200},
		{"127.0.0.1:7485", "rhumb.localhost:7485", 200},
		{"[::1]:7485", "[::1]:7485", 200},
		{"[::1]:7485", "[::1]", 200},
		{"127.0.0.1:7485", "example.com:7485", 403},
		{"127.0.0.1:7485", "notlocalhost", 403},
		{"127.0.0.1:7485", "127.0.0.1.example.com:7485", 403},
		{"127.0.0.1:7485", "", 403},
		{"0.0.0.0:7485", "metrics.example.com:7485", 200},
		{":7485", "metrics.example.com:7485", 200},
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Host = c.host
		localOnly(c.addr, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
		if w.Code != c.want {
			t.Errorf("%s asked for %q: %d, want %d", c.addr, c.host, w.Code, c.want)
		}
	}
}
