package link_test

import (
	"context"
	"log/slog"
	"os/user"
	"reflect"
	"testing"
	"time"

	"rhumb"
	"rhumb/cmd/rhumb/observed/link"
	"rhumb/httpapi"
	"rhumb/observe/observefake"
)

// alerting is rhumb.Alerts. An embedded field of that name would hide the method.
type alerting = rhumb.Alerts

// measuring answers with what it was asked.
type measuring struct {
	alerting
	actor rhumb.Actor
}

func (m *measuring) Query(_ context.Context, q rhumb.MetricQuery) ([]rhumb.Series, error) {
	return []rhumb.Series{{Labels: map[string]string{"expr": q.Expr}}}, nil
}

func (m *measuring) Why(_ context.Context, q rhumb.WhyQuery) (rhumb.Explanation, error) {
	return rhumb.Explanation{Since: q.Since, Until: q.Until}, nil
}

func (m *measuring) DashboardLink(context.Context) (rhumb.DashboardLink, error) {
	return rhumb.DashboardLink{Addr: "127.0.0.1:7484", Key: "k"}, nil
}

func (m *measuring) Alerts(_ context.Context, stack string) ([]rhumb.Alert, error) {
	return []rhumb.Alert{{Stack: stack}}, nil
}

func (m *measuring) Silence(ctx context.Context, s rhumb.Silence) (rhumb.Silence, error) {
	m.actor = rhumb.ActorOf(ctx)
	return s, nil
}

func (m *measuring) RemoveSilence(_ context.Context, id string) error {
	return rhumb.Errorf(rhumb.NotFound, "silence %s: there is none", id)
}

// dial serves a keeper until the test ends.
func dial(t *testing.T, k link.Keeper) *link.Link {
	t.Helper()
	ln, socket := listen(t)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- httpapi.Serve(ctx, ln, link.Handler(k), k.Log) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return link.Dial(socket)
}

func TestWhatIsMeasuredArrivesThroughTheSocket(t *testing.T) {
	m := &measuring{}
	l := dial(t, link.Keeper{Observer: observefake.New(), Metrics: m, Alerts: m, Explainer: m, Dashboard: m,
		Log: slog.New(slog.DiscardHandler)})
	if s, err := l.Query(t.Context(), rhumb.MetricQuery{Expr: "1 + 1"}); err != nil || s[0].Labels["expr"] != "1 + 1" {
		t.Errorf("Query: %v, %v", s, err)
	}
	noon := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	if e, err := l.Why(t.Context(), rhumb.WhyQuery{Since: noon}); err != nil || !e.Since.Equal(noon) {
		t.Errorf("Why: %v, %v", e, err)
	}
	if d, err := l.DashboardLink(t.Context()); err != nil || d.Key != "k" {
		t.Errorf("DashboardLink: %v, %v", d, err)
	}
	if as, err := l.Alerts(t.Context(), "shop"); err != nil || len(as) != 1 || as[0].Stack != "shop" {
		t.Errorf("Alerts: %v, %v", as, err)
	}
	if err := l.RemoveSilence(t.Context(), "s1"); rhumb.ErrorCode(err) != rhumb.NotFound {
		t.Errorf("RemoveSilence: %v", err)
	}
}

func TestASilenceIsByTheUserWhoAsked(t *testing.T) {
	m := &measuring{}
	l := dial(t, link.Keeper{Observer: observefake.New(), Alerts: m, Log: slog.New(slog.DiscardHandler)})
	ada := rhumb.WithActor(t.Context(), rhumb.Actor{Name: "ada", Host: "shop"})
	s, err := l.Silence(ada, rhumb.Silence{Stack: "shop", By: "eve@laptop", Until: time.Now()})
	if err != nil || s.By != "ada (eve@laptop)" {
		t.Errorf("it is by %q, %v", s.By, err)
	}
	if !reflect.DeepEqual(m.actor, rhumb.Actor{}) {
		me, _ := user.Current()
		t.Errorf("the process takes the daemon's user for the one who asked: %v of %v", m.actor, me)
	}
}

func TestWhatIsNotOfferedIsUnsupported(t *testing.T) {
	l := dial(t, link.Keeper{Observer: observefake.New(), Log: slog.New(slog.DiscardHandler)})
	if _, err := l.Query(t.Context(), rhumb.MetricQuery{Expr: "1"}); rhumb.ErrorCode(err) != rhumb.Unsupported {
		t.Errorf("Query: %v", err)
	}
	if _, err := l.DashboardLink(t.Context()); rhumb.ErrorCode(err) != rhumb.Unsupported {
		t.Errorf("DashboardLink: %v", err)
	}
}
