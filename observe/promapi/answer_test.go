package promapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"

	"rhumb"
	"rhumb/observe/metrics"
	"rhumb/observe/promapi"
)

// asked is an answer of the API.
type asked struct {
	Status    string
	Data      json.RawMessage
	ErrorType string
	Error     string
	code      int
	text      string
}

func ask(t *testing.T, method, addr string, form url.Values) asked {
	t.Helper()
	var body io.Reader
	if method == http.MethodPost {
		body = strings.NewReader(form.Encode())
	} else {
		addr += "?" + form.Encode()
	}
	r, err := http.NewRequestWithContext(t.Context(), method, addr, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := asked{code: resp.StatusCode, text: string(b)}
	_ = json.Unmarshal(b, &a) // not all answers are JSON
	return a
}

func TestMistakesAreAnsweredAsPrometheusDoes(t *testing.T) {
	addr := served(t, promapi.Deps{Store: stored(t)}) + "/api/v1/"
	for _, c := range []struct {
		path, form string
		code       int
		kind       string
	}{
		{"query", "query=up{", 400, "bad_data"},
		{"query", "", 400, "bad_data"},
		{"query", "query=1&time=later", 400, "bad_data"},
		{"query", "query=1&time=NaN", 400, "bad_data"},
		{"query", "query=1&time=1e300", 400, "bad_data"},
		{"query", "query=1&timeout=-1", 400, "bad_data"},
		{"query", "query=1&limit=-1", 400, "bad_data"},
		{"query", "query=1&lookback_delta=1m", 400, "bad_data"},
		{"query", "query=%ZZ", 400, "bad_data"},
		{"query", "query=label_replace(vector(1),`a`,`$1`,`b`,`(`)", 422, "execution"},
		{"query", "query=rhumb_requests_total%2Bon()app_queue&time=" + fmt.Sprint(start.Unix()+60), 422, "execution"},
		{"query", "query=count_over_time(rhumb_requests_total[30m:1ms])&timeout=0.001", 503, "timeout"},
		{"query_range", "query=1&end=2&step=1", 400, "bad_data"},
		{"query_range", "query=1&start=1&end=2", 400, "bad_data"},
		{"query_range", "query=1&start=3&end=2&step=1", 400, "bad_data"},
		{"query_range", "query=1&start=1&end=2&step=0", 400, "bad_data"},
		{"query_range", "query=1&start=1&end=2&step=x", 400, "bad_data"},
		{"query_range", "query=1&start=0&end=11000&step=1", 400, "bad_data"},
		{"series", "", 400, "bad_data"},
		{"series", "match[]={", 400, "bad_data"},
		{"labels", "start=2&end=1", 400, "bad_data"},
		{"format_query", "query=sum(", 400, "bad_data"},
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			r, err := http.NewRequestWithContext(t.Context(), method, addr+c.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if method == http.MethodGet {
				r.URL.RawQuery = c.form
			} else {
				r.Body = io.NopCloser(strings.NewReader(c.form))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			var a asked
			if err := json.NewDecoder(resp.Body).Decode(&a); err != nil || resp.StatusCode != c.code ||
				a.ErrorType != c.kind || a.Status != "error" || a.Error == "" {
				t.Errorf("%s %s?%s: %d %+v %v", method, c.path, c.form, resp.StatusCode, a, err)
			}
			resp.Body.Close()
		}
	}
}

func TestWhatGrafanaAsksIsAnswered(t *testing.T) {
	addr := served(t, promapi.Deps{Store: stored(t)})
	at := fmt.Sprint(start.Unix() + 60)
	for _, c := range []struct{ method, path, form, want string }{
		{"GET", "query", "query=1%2B1&time=4", `{"resultType":"scalar","result":[4,"2"]}`},
		{"POST", "query", "query=1%2B1&time=1970-01-01T00:00:04.5Z", `{"resultType":"scalar","result":[4.5,"2"]}`},
		{"POST", "query_range", "query=rhumb_node_load1*7&step=30s&start=" + at + ".1&end=" + at + ".1",
			`{"resultType":"matrix","result":[{"metric":{},"values":[[` + at + `.1,"12"]]}]}`},
		{"GET", "query", "query='a'&time=4", `{"resultType":"string","result":[4,"a"]}`},
		{"GET", "query", "query=nothing", `{"resultType":"vector","result":[]}`},
		{"GET", "query_range", "query=nothing&start=1&end=2&step=1", `{"resultType":"matrix","result":[]}`},
		{"POST", "labels", "match[]=app_queue&start=" + at, `["__name__","stack"]`},
		{"GET", "label/stack/values", "", `["shop"]`},
		{"GET", "label/none/values", "", `[]`},
		{"POST", "series", "match[]=app_queue", `[{"__name__":"app_queue","stack":"shop"}]`},
		{"GET", "metadata", "metric=app_queue", `{"app_queue":[{"type":"gauge","help":"","unit":""}]}`},
		{"GET", "rules", "", `{"groups":[]}`},
		{"GET", "query_exemplars", "query=up", `[]`},
		{"POST", "format_query", "query=sum(  up )by(a)", `"sum by (a) (up)"`},
	} {
		form, err := url.ParseQuery(c.form)
		if err != nil {
			t.Fatal(err)
		}
		a := ask(t, c.method, addr+"/api/v1/"+c.path, form)
		if a.code != 200 || a.Status != "success" || string(a.Data) != c.want {
			t.Errorf("%s %s?%s: %s\nwant %s", c.method, c.path, c.form, a.text, c.want)
		}
	}
	for _, path := range []string{"/-/healthy", "/-/ready"} {
		if a := ask(t, "GET", addr+path, nil); a.code != 200 {
			t.Errorf("%s: %+v", path, a)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "OPTIONS"} {
		if a := ask(t, method, addr+"/api/v1/query", nil); a.code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %+v", method, a)
		}
	}
	if a := ask(t, "GET", addr+"/api/v1/nothing", nil); a.code != 404 {
		t.Errorf("an unknown path: %+v", a)
	}
	if a := ask(t, "POST", addr+"/api/v1/query", url.Values{"query": {strings.Repeat("x", 2<<20)}}); a.code != 400 {
		t.Errorf("a long body: %d", a.code)
	}
}

// stuck is a store whose answers wait.
type stuck struct {
	promapi.Store
	entered chan struct{}
	release chan struct{}
}

func (s stuck) Evaluate(ctx context.Context, _ rhumb.MetricQuery,
	_ func(parser.Value, annotations.Annotations) error,
) error {
	s.entered <- struct{}{}
	select {
	case <-s.release:
	case <-ctx.Done():
	}
	return rhumb.Errorf(rhumb.Unavailable, "released")
}

func (s stuck) SeriesLabels(context.Context, metrics.Selection) ([]labels.Labels, error) {
	return nil, nil
}

func TestFewRequestsAreAnsweredAtOnce(t *testing.T) {
	s := stuck{entered: make(chan struct{}, 100), release: make(chan struct{})}
	h := promapi.New(promapi.Deps{Store: s, Log: discard})
	codes := make(chan int, 100)
	for range 40 {
		go func() {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/api/v1/query?query=1", nil))
			codes <- w.Code
		}()
	}
	for range 3 {
		<-s.entered
	}
	for range 8 { // 40 less the 32 that may wait
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("one too many: %d", code)
		}
	}
	if len(s.entered) > 0 {
		t.Error("more than three read the store")
	}
	close(s.release)
	for range 32 {
		if code := <-codes; code != http.StatusServiceUnavailable {
			t.Errorf("one that waited: %d", code)
		}
	}
}
