package protocol

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// sender returns a sender to a server of the test.
func sender(t *testing.T, protocol, params string, h http.HandlerFunc) Sender {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	c, err := Parse(protocol + "+http://user:s3cret@" + strings.TrimPrefix(server.URL, "http://") + params)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Sender(Deps{Host: "h", Queue: "q"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestAStatusSendsAgainOrDropsAsItsProtocolSays(t *testing.T) {
	for _, c := range []struct {
		protocol, statuses string
		again              bool
	}{
		{"loki", "400 409 422", false}, {"loki", "302 401 403 404 429 500 502 503 504", true},
		{"elasticsearch", "400 422", false}, {"elasticsearch", "401 404 429 500 503", true},
		{"otlp", "400 408 409 500 501", false}, {"otlp", "401 403 404 429 502 503 504", true},
	} {
		for _, status := range strings.Fields(c.statuses) {
			s := sender(t, c.protocol, "", func(w http.ResponseWriter, r *http.Request) {
				var n int
				if _, err := fmt.Sscan(status, &n); err != nil {
					t.Error(err)
				}
				w.Header().Set("Retry-After", "7")
				w.WriteHeader(n)
				fmt.Fprint(w, "no\x1b, s3cret")
			})
			r := s.Send(t.Context(), []Line{line("a"), line("b")})
			want, after := 2, 0*time.Second
			if c.again {
				want, after = 0, 7*time.Second
			}
			if r.Refused != want || len(r.Left) != 2-want || r.After != after || r.Err == nil {
				t.Errorf("%s %s: %+v", c.protocol, status, r)
			} else if e := r.Err.Error(); strings.Contains(e, "s3cret") || strings.Contains(e, "\x1b") ||
				!strings.Contains(e, status) {
				t.Errorf("%s %s: the error is %q", c.protocol, status, e)
			}
		}
	}
}

func TestARequestThatIsTooLargeIsSplit(t *testing.T) {
	var taken []string
	s := sender(t, "loki", "?metadata=no", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		body := string(unzip(t, b))
		switch n := strings.Count(body, "line"); {
		case n > 2 || strings.Contains(body, "huge"):
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		default:
			taken = append(taken, body)
			w.WriteHeader(http.StatusNoContent)
		}
	})
	left := []Line{line("line 1"), line("line 2"), line("line 3"), line("huge"), line("line 5")}
	refused := 0
	for range 20 {
		r := s.Send(t.Context(), left)
		left, refused = r.Left, refused+r.Refused
		if len(left) == 0 {
			break
		}
	}
	if all := strings.Join(taken, ""); strings.Count(all, "line") != 4 || refused != 1 || len(left) != 0 {
		t.Errorf("%d refused, %d left, taken: %q", refused, len(left), taken)
	}
}

func TestElasticsearchItemsAreLookedAtOneByOne(t *testing.T) {
	var body, path string
	s := sender(t, "elasticsearch", "/prefix/logs", func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		body, path = string(unzip(t, b)), r.URL.Path
		fmt.Fprint(w, `{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":409}},`+
			`{"create":{"status":429,"error":{"reason":"busy"}}},`+
			`{"create":{"status":400,"error":{"reason":"s3cret mapping"}}}]}`)
	})
	lines := []Line{line("a"), line("b"), line("c"), line("d")}
	lines[2].Number = 44
	r := s.Send(t.Context(), lines)
	if len(r.Left) != 1 || r.Left[0].Number != 44 || r.Refused != 1 || r.Err == nil ||
		strings.Contains(r.Err.Error(), "s3cret") {
		t.Errorf("%+v", r)
	}
	first, rest, _ := strings.Cut(body, "\n")
	want := `{"create":{"_id":"q-42","_index":"logs"}}`
	if path != "/prefix/_bulk" || first != want || strings.Count(rest, "\n") != 7 {
		t.Errorf("%s has %s", path, body)
	}
	s = sender(t, "elasticsearch", "", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, `{"items":[]}`) })
	if r := s.Send(t.Context(), lines); len(r.Left) != 4 || r.Err == nil {
		t.Errorf("an answer without items: %+v", r)
	}
}

func TestOTLPLinesThatAreRejectedCountAsRefused(t *testing.T) {
	s := sender(t, "otlp", "", func(w http.ResponseWriter, r *http.Request) {
		if _, err := w.Write(appendBytes(nil, 1, appendString([]byte{1 << 3, 2}, 2, "too old"))); err != nil {
			t.Error(err)
		}
	})
	r := s.Send(t.Context(), []Line{line("a"), line("b"), line("c")})
	if r.Refused != 2 || r.Left != nil || r.Err == nil || !strings.Contains(r.Err.Error(), "too old") {
		t.Errorf("%+v", r)
	}
}

func TestCredentialsAreSent(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization")+" "+r.Header.Get("X-Scope-OrgID"))
	}))
	defer server.Close()
	address := strings.TrimPrefix(server.URL, "http://")
	for _, raw := range []string{
		"loki+http://user:pass@" + address, "loki+http://" + address + "?header.X-Scope-OrgID=team&token_file=" + token,
	} {
		c, err := Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.Sender(Deps{})
		if err != nil {
			t.Fatal(err)
		}
		if r := s.Send(t.Context(), []Line{line("x")}); r.Err != nil || r.Left != nil {
			t.Errorf("%s: %+v", raw, r)
		}
		s.Close()
	}
	if want := []string{"Basic dXNlcjpwYXNz ", "Bearer abc team"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRetryAfterIsSecondsOrADate(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"": 0, "3": 3 * time.Second, "x": 0, "-1": 0, "999999999": maxAfter, "Fri, 01 Jan 2100 00:00:00 GMT": maxAfter,
		"Fri, 01 Jan 2010 00:00:00 GMT": 0,
	} {
		if got := retryAfter(value); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
