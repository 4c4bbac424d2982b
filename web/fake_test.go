package web

import (
	"context"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe/observefake"
)

// noon is when the fakes' world stands still.
var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

// world is everything that the dashboard asks for, in memory. Fields may be changed before a page is asked for; while
// pages are live, only with change.
type world struct {
	mu sync.Mutex

	down     error // what the daemon answers with; nil: it answers
	stacks   []rhumb.StackInfo
	deployed []rhumb.Deployment // newest first
	releases []rhumb.ReleaseInfo
	events   []rhumb.Event
	certs    []rhumb.CertificateStatus
	routes   rhumb.RouterStatus
	plan     rhumb.Plan
	asked    []rhumb.ChangeRequest
	denied   error // what changes are answered with

	noMetrics error
	metric    func(q rhumb.MetricQuery) []rhumb.Series
	noAlerts  error
	alerts    []rhumb.Alert
	rules     []rhumb.AlertRule
	receivers []rhumb.AlertReceiver
	silences  []rhumb.Silence
	noLogs    error
	logs      *observefake.Store
	noWhy     error
	why       rhumb.Explanation

	happened chan struct{} // closed, and made again, upon each change
}

func newWorld() *world { return &world{happened: make(chan struct{}), logs: observefake.New()} }

// change changes the world while pages may be reading it, and wakes what follows it.
func (w *world) change(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
	close(w.happened)
	w.happened = make(chan struct{})
}

const testKey = "a-key-for-tests"

// deps returns a dashboard's Deps that show the world.
func (w *world) deps() Deps {
	return Deps{Stacks: w, History: w, Traffic: w, Deployer: w, Observer: w, Metrics: w, Alerts: w, Explain: w,
		Key: testKey, Machine: "shop1.example.com", Version: "1.2.3", Log: slog.New(slog.DiscardHandler)}
}

// server returns a dashboard of the world, whose clock stands at noon.
func (w *world) server() *server { return newServer(w.deps(), func() time.Time { return noon }) }

// get asks a dashboard for a page, as a browser that was let in.
func get(t *testing.T, s *server, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "localhost:7484"
	r.AddCookie(s.gate.newCookie(false))
	rec := httptest.NewRecorder()
	s.handler().ServeHTTP(rec, r)
	return rec
}

// post sends a form to a dashboard, as one of its own pages does. The form has no token yet.
func post(t *testing.T, s *server, path, form string) *httptest.ResponseRecorder {
	t.Helper()
	c := s.gate.newCookie(false)
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("token="+s.gate.token(c.Value)+"&"+form))
	r.Host = "localhost:7484"
	r.Header.Set("Origin", "http://localhost:7484")
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.AddCookie(c)
	rec := httptest.NewRecorder()
	s.handler().ServeHTTP(rec, r)
	return rec
}

// contains fails unless a page answers with a status and has all these texts.
func contains(t *testing.T, rec *httptest.ResponseRecorder, status int, texts ...string) {
	t.Helper()
	if rec.Code != status {
		t.Errorf("status %d, want %d", rec.Code, status)
	}
	for _, text := range texts {
		if !strings.Contains(rec.Body.String(), text) {
			t.Errorf("the page lacks %q:\n%s", text, rec.Body)
		}
	}
}

// lacks fails if a page has one of these texts.
func lacks(t *testing.T, rec *httptest.ResponseRecorder, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if strings.Contains(rec.Body.String(), text) {
			t.Errorf("the page has %q:\n%s", text, rec.Body)
		}
	}
}

func (w *world) Info(context.Context) (rhumb.ServerInfo, error) {
	return rhumb.ServerInfo{Version: "1.2.3", Started: noon.Add(-time.Hour)}, w.down
}

func (w *world) Stacks(context.Context) ([]rhumb.StackInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down != nil {
		return nil, w.down
	}
	return w.stacks, nil
}

func (w *world) Status(_ context.Context, stack string) (rhumb.StackInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down != nil {
		return rhumb.StackInfo{}, w.down
	}
	for _, st := range w.stacks {
		if st.Name == stack {
			return st, nil
		}
	}
	return rhumb.StackInfo{}, rhumb.Errorf(rhumb.NotFound, "stack %s isn't deployed", stack)
}

func (w *world) Deployment(_ context.Context, stack string, id int64) (rhumb.Deployment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down != nil {
		return rhumb.Deployment{}, w.down
	}
	for _, d := range w.deployed {
		if d.Stack == stack && (id == 0 || d.ID == id) {
			return d, nil
		}
	}
	return rhumb.Deployment{}, rhumb.Errorf(rhumb.NotFound, "stack %s has no deployment %d", stack, id)
}

func (w *world) Deployments(_ context.Context, stack string, limit int) ([]rhumb.Deployment, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []rhumb.Deployment
	for _, d := range w.deployed {
		if d.Stack == stack && (limit == 0 || len(list) < limit) {
			list = append(list, d)
		}
	}
	return list, w.down
}

func (w *world) Releases(_ context.Context, stack string) ([]rhumb.ReleaseInfo, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []rhumb.ReleaseInfo
	for _, r := range w.releases {
		if r.Stack == stack {
			list = append(list, r)
		}
	}
	return list, w.down
}

func (w *world) Diff(context.Context, string, int, int) ([]rhumb.Difference, error) {
	return w.plan.Changes, w.down
}

func (w *world) Events(ctx context.Context, f rhumb.EventFilter) iter.Seq2[rhumb.Event, error] {
	return func(yield func(rhumb.Event, error) bool) {
		for after := f.After; ; {
			w.mu.Lock()
			down, more := w.down, w.happened
			var list []rhumb.Event
			for _, e := range w.events {
				if e.ID > after && (f.Stack == "" || e.Stack == f.Stack) && !e.At.Before(f.Since) &&
					(f.Deployment == 0 || e.Deployment == f.Deployment) {
					list = append(list, e)
				}
			}
			w.mu.Unlock()
			if down != nil {
				yield(rhumb.Event{}, down)
				return
			}
			if f.Limit > 0 && len(list) > f.Limit {
				list = list[len(list)-f.Limit:]
			}
			for _, e := range list {
				if after = e.ID; !yield(e, nil) {
					return
				}
			}
			if !f.Follow {
				return
			}
			select {
			case <-more:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w *world) Routes(context.Context) (rhumb.RouterStatus, error) { return w.routes, w.down }

func (w *world) Certificates(context.Context) ([]rhumb.CertificateStatus, error) {
	return w.certs, w.down
}

func (w *world) RootCertificate(context.Context) (string, error) { return "", w.down }
