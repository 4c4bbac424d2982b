package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rhumb"
	"rhumb/httpapi"
)

// alerting is rhumb.Alerts. An embedded field of that name would hide the method.
type alerting = rhumb.Alerts

// quiet answers nothing; a test overrides what it calls.
type quiet struct {
	rhumb.Server
	rhumb.Observer
	rhumb.Metrics
	alerting
	rhumb.Explainer
	rhumb.Dashboard
}

func (quiet) Values(context.Context) ([]string, error) { return nil, io.ErrClosedPipe }

func serve(t *testing.T) (string, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	services := httpapi.All(quiet{})
	services.Observer, services.Metrics, services.Alerts = quiet{}, quiet{}, quiet{}
	services.Explainer, services.Dashboard = quiet{}, quiet{}
	s := httptest.NewServer(httpapi.New(services, slog.New(slog.NewTextHandler(&log, nil))))
	t.Cleanup(s.Close)
	return s.URL, &log
}

type problem struct{ Code, Msg, Hint string }

func ask(t *testing.T, method, url, contentType, body string) (int, problem) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p problem
	if len(b) > 0 {
		if err := json.Unmarshal(b, &p); err != nil {
			t.Fatalf("%s %s: %s is not JSON: %v", method, url, b, err)
		}
	}
	return resp.StatusCode, p
}

func TestWrongRequestsAreRefusedWithACodeAndWords(t *testing.T) {
	base, _ := serve(t)
	for _, c := range []struct {
		method, path, kind, body string
		status                   int
		code, words              string
	}{
		{"GET", "/nothing", "", "", 404, "not_found", "nothing at GET /nothing"},
		{"POST", "/v1/stacks/shop/plan", "application/json", "{", 400, "invalid", "broken at byte 1"},
		{"POST", "/v1/stacks/shop/plan", "application/json",
			`{"Model":{"Name":"shop"},"Colour":1}`,
			400, "invalid", "unexpected property"},
		{"POST", "/v1/stacks/shop/changes", "application/json",
			`{"Stack":"blog","Cause":"down"}`,
			400, "invalid", `the stack "shop", the request "blog"`},
		{"POST", "/v1/stacks/shop/changes", "application/json",
			`{"Stack":"` + strings.Repeat("x", 2<<20) + `"}`,
			413, "invalid", "too large"},
		{"POST", "/v1/stacks/shop/plan", "application/json",
			`{"Model":{"Name":"shop","Services":[],"Files":[{"Kind":"config","Name":"a","Content":"!"}]}}`,
			400, "invalid", "base64"},
		{"POST", "/v1/stacks/shop/plan", "application/json",
			`{"Model":{"Name":"shop","Services":[` + strings.Repeat("{},", 100_000) + `{}]}}`,
			400, "invalid", "more than 100000 values"},
		{"GET", "/v1/stacks/shop/deployments/seven", "", "", 400, "invalid", "integer"},
		{"GET", "/v1/events?since=yesterday", "", "", 400, "invalid", "not a time"},
		{"GET", "/v1/logs?level=loud", "", "", 400, "invalid", "level"},
		{"GET", "/v1/logs?since=yesterday", "", "", 400, "invalid", "not a time"},
		{"GET", "/v1/logs/counts?stream=third", "", "", 400, "invalid", "stream"},
		{"GET", "/v1/metrics/query", "", "", 400, "invalid", "expr"},
		{"GET", "/v1/metrics/query?expr=up&until=noon", "", "", 400, "invalid", "until"},
		{"GET", "/v1/metrics/query?expr=up&step=often", "", "", 400, "invalid", "step"},
		{"GET", "/v1/metrics/query?expr=up&step=-5s", "", "", 400, "invalid", "step"},
		{"GET", "/v1/why?since=yesterday", "", "", 400, "invalid", "since"},
		{"POST", "/v1/silences", "application/json", `{"Stack":"shop","Until":"soon"}`, 400, "invalid", "Until"},
		{"POST", "/v1/stacks/shop/services/web/builds", "application/x-tar", "x", 400, "invalid", "multipart"},
		{"POST", "/v1/stacks/shop/services/web/exec", "application/json",
			`{"Options":{"Command":["sh"]}}`,
			400, "invalid", "upgrade"},
		{"PUT", "/v1/values/big", "application/octet-stream", strings.Repeat("x", 5<<20), 400, "invalid", "larger than 4 MB"},
	} {
		status, p := ask(t, c.method, base+c.path, c.kind, c.body)
		if status != c.status || p.Code != c.code || !strings.Contains(p.Msg, c.words) {
			t.Errorf("%s %s: got %d %+v, want %d %s with %q", c.method, c.path, status, p, c.status, c.code, c.words)
		}
	}
}

func TestAForeignErrorIsLoggedAndNotReturned(t *testing.T) {
	base, log := serve(t)
	status, p := ask(t, "GET", base+"/v1/values", "", "")
	if status != 500 || p.Code != "internal" || p.Msg != "internal error, see the server's log" {
		t.Errorf("got %d %+v", status, p)
	}
	if !strings.Contains(log.String(), io.ErrClosedPipe.Error()) {
		t.Errorf("the log has only %q", log)
	}
}

func TestTheOpenAPIDocumentNamesEveryOperation(t *testing.T) {
	base, _ := serve(t)
	resp, err := http.Get(base + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct{ OperationID string }
	}
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, item := range doc.Paths {
		for _, o := range item {
			got[o.OperationID] = true
		}
	}
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("it is of version %q", doc.OpenAPI)
	}
	operations := strings.Fields("plan deploy change plan-change cancel deployment deployments info stacks status " +
		"releases diff routes certificates root-certificate events logs exec run set-value remove-value values build " +
		"lines log-counts query-metrics alerts alert-rules alert-receivers test-alert silences silence remove-silence " +
		"why dashboard")
	for _, id := range operations {
		if !got[id] {
			t.Errorf("%s is missing", id)
		}
	}
}
