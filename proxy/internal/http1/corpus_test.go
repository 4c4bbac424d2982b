package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// example is a line of testdata/requests.txt.
type example struct{ want, in string }

func examples(t testing.TB) (all []example) {
	t.Helper()
	b, err := os.ReadFile("testdata/requests.txt")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		want, quoted, _ := strings.Cut(line, " ")
		in, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		all = append(all, example{want, in})
	}
	return all
}

// message is a request or response that was read to its end.
type message struct {
	first    string // the method and the target, or the status
	host     string
	path     string
	query    string
	fields   map[string][]string // of the kind Other
	body     string
	trailers map[string][]string
}

// values returns fields as a map from lower-case names.
func values(fields []Field, which ...Kind) map[string][]string {
	m := map[string][]string{}
	for _, f := range fields {
		if len(which) == 0 || slices.Contains(which, f.Kind) {
			name := strings.ToLower(f.Name)
			m[name] = append(m[name], strings.Join(strings.Fields(f.Value), " "))
		}
	}
	return m
}

var errMore = errors.New("more bytes are needed")

// readBody reads a body, in pieces of at most step bytes.
func readBody(in []byte, length int64, step int) (body string, trailers []Field, rest []byte, err error) {
	if length == UntilEnd {
		return string(in), nil, nil, nil
	}
	if length >= 0 {
		if int64(len(in)) < length {
			return "", nil, nil, errMore
		}
		return string(in[:length]), nil, in[length:], nil
	}
	var c Chunks
	for !c.Done() {
		if len(in) == 0 {
			return "", nil, nil, errMore
		}
		data, n, err := c.Next(in[:min(step, len(in))])
		if err != nil {
			return "", nil, nil, err
		}
		body, in = body+string(data), in[n:]
	}
	return body, c.Trailers, in, nil
}

// readRequests reads requests up to a fault or a change of protocol. The bytes come in steps.
func readRequests(in []byte, step int) (seen []message, err error) {
	var r Request
	for len(in) > 0 {
		r.Reset()
		size := 0
		for come := step; size == 0; come += step {
			if size, err = r.Parse(in[:min(come, len(in))]); err != nil {
				return seen, err
			}
			if size == 0 && come >= len(in) {
				return seen, errMore
			}
		}
		m := message{first: r.Method + " " + r.Target, host: r.Host, path: r.Decoded(), query: r.Query,
			fields: values(r.Fields, Other)}
		var trailers []Field
		if m.body, trailers, in, err = readBody(in[size:], r.Length, step); err != nil {
			return seen, err
		}
		m.trailers = values(trailers)
		if seen = append(seen, m); r.Asks {
			return seen, nil
		}
	}
	return seen, nil
}

// verdict returns what becomes of requests, in the words of testdata/requests.txt.
func verdict(in string, step int) string {
	seen, err := readRequests([]byte(in), step)
	words := slices.Repeat([]string{"ok"}, len(seen))
	var f *Fault
	switch {
	case errors.As(err, &f):
		words = append(words, strconv.Itoa(f.Status))
	case err != nil:
		words = append(words, "more")
	}
	return strings.Join(words, ",")
}

func TestHostileRequestsAreRefused(t *testing.T) {
	hostile := 0
	for _, e := range examples(t) {
		if e.want[0] == '4' {
			hostile++
		}
		for _, step := range []int{1 << 20, 1, 7} {
			if got := verdict(e.in, step); got != e.want {
				t.Errorf("%q in steps of %d: %s, not %s", e.in, step, got, e.want)
			}
		}
	}
	if hostile < 300 {
		t.Errorf("only %d hostile requests", hostile)
	}
}

// byLibrary reads requests with the standard library, up to a fault or a change of protocol.
func byLibrary(in []byte) (seen []message, err error) {
	r := bufio.NewReaderSize(bytes.NewReader(in), 64<<10)
	for {
		if b, err := r.Peek(2); err == nil && string(b) == "\r\n" { // which the server skips before it reads
			_, _ = r.Discard(2)
		}
		req, err := http.ReadRequest(r)
		if err == io.EOF {
			return seen, nil
		}
		if err != nil {
			return seen, err
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return seen, err
		}
		m := message{first: req.Method + " " + req.RequestURI, host: req.Host, path: req.URL.Path, body: string(body),
			fields: folded(req.Header), trailers: folded(req.Trailer)}
		if req.URL.RawQuery != "" || req.URL.ForceQuery {
			m.query = "?" + req.URL.RawQuery
		}
		if seen = append(seen, m); req.Header["Upgrade"] != nil {
			return seen, nil
		}
	}
}

func folded(h http.Header) map[string][]string {
	m := map[string][]string{}
	for name, vs := range h {
		for _, v := range vs {
			name := strings.ToLower(name)
			m[name] = append(m[name], strings.Join(strings.Fields(v), " "))
		}
	}
	return m
}

// differ returns how the library reads a message otherwise; "" if it doesn't.
func differ(ours, library message) string {
	if ours.path == "" { // of CONNECT, of "*", or of a URL without one: the library has its own words for those
		library.path = ours.path
	}
	if ours.first != library.first || ours.host != library.host || ours.path != library.path ||
		ours.query != library.query || ours.body != library.body {
		return "they differ"
	}
	for name, vs := range ours.fields {
		if name == "cookie" || name == "cache-control" || name == "pragma" { // which the library changes
			continue
		}
		if !slices.Equal(vs, library.fields[name]) {
			return "the field " + name + " differs"
		}
	}
	for name, vs := range ours.trailers {
		if !slices.Equal(vs, library.trailers[name]) && !headerOnly(name) {
			return "the trailer " + name + " differs"
		}
	}
	return ""
}

// headerOnly reports whether the library keeps a name from the trailers.
func headerOnly(name string) bool {
	return name == "transfer-encoding" || name == "content-length" || name == "trailer"
}

// FuzzTheLibraryReadsWhatIsAccepted holds our reading of requests against that of net/http. What we accept, it accepts
// in the same way. It may accept more.
func FuzzTheLibraryReadsWhatIsAccepted(f *testing.F) {
	for _, e := range examples(f) {
		f.Add([]byte(e.in), 1<<20)
	}
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		ours, err := readRequests(in, max(step, 1))
		whole, err2 := readRequests(in, 1<<20)
		if len(ours) != len(whole) || (err == nil) != (err2 == nil) {
			t.Fatalf("in steps of %d: %+v, %v; at once: %+v, %v", step, ours, err, whole, err2)
		}
		library, libErr := byLibrary(in)
		if len(library) < len(ours) {
			t.Fatalf("we accept %d requests, the library %d: %v", len(ours), len(library), libErr)
		}
		for i := range ours {
			if d := differ(ours[i], library[i]); d != "" {
				t.Fatalf("%s: we read %+v, the library %+v", d, ours[i], library[i])
			}
		}
	})
}
