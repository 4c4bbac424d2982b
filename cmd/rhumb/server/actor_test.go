package server

import (
	"context"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/control"
	"rhumb/engine/enginefake"
	"rhumb/httpapi"
	"rhumb/httpapi/client"
	"rhumb/internal/routertest"
	"rhumb/internal/together"
	"rhumb/sqlite/storetest"
)

// reach runs control behind the API on a unix socket, and returns a client for it.
func reach(t *testing.T) *client.Client {
	t.Helper()
	store := storetest.Open(t)
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := listenUnix(socket)
	if err != nil {
		t.Fatal(err)
	}
	engine, log := enginefake.New(time.Now), slog.New(slog.DiscardHandler)
	c := control.New(control.Deps{Engine: engine, Images: engine, Store: store, Router: routertest.New(), Log: log})
	api := httpapi.New(httpapi.Services{Deployer: c, History: c}, log)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- together.Run(ctx, c.Hold, func(ctx context.Context) error { return httpapi.Serve(ctx, ln, api, log) })
	}()
	cl, err := client.New("unix://" + socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cl.Close()
		stop()
		<-done
	})
	return cl
}

func TestWhoChangesAStackIsKnownFromTheConnection(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	c := reach(t)
	for _, try := range []struct{ stack, claim, want string }{
		{"claims", "mallory@elsewhere", me.Username + " (mallory@elsewhere)"},
		{"honest", me.Username + "@" + host, me.Username},
		{"silent", "", me.Username},
	} {
		// Its replicas never become ready, so that there is something to cancel.
		m := rhumb.Stack{Name: try.stack, Services: []rhumb.Service{{
			Name: "web", Replicas: 1, Order: rhumb.StartFirst, Container: rhumb.Container{Image: "web:1"},
			Update: rhumb.Policy{OnFailure: rhumb.ActionRollback},
			Ready:  rhumb.Ready{Kind: rhumb.ReadyRunning, Timeout: time.Hour},
		}}}
		d, err := c.Deploy(t.Context(), rhumb.DeployRequest{Model: m, By: try.claim}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Cancel(t.Context(), try.stack, d.ID, try.claim); err != nil {
			t.Fatal(err)
		}
		last, events := d, 0
		for e, err := range c.Events(t.Context(), rhumb.EventFilter{Stack: try.stack, Follow: true}) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind != rhumb.EventDeployment {
				continue
			}
			if events++; e.By != try.want {
				t.Errorf("%s: the event %q is by %q, want %q", try.stack, e.Text, e.By, try.want)
			}
			if e.Phase.Ended() {
				break
			}
		}
		if last, err = c.Deployment(t.Context(), try.stack, d.ID); err != nil {
			t.Fatal(err)
		}
		if d.By != try.want || last.By != try.want || !strings.HasSuffix(last.Why, "cancelled by "+try.want) || events < 2 {
			t.Errorf("%s: by %q, then %q, %q, want %q; %d events", try.stack, d.By, last.By, last.Why, try.want, events)
		}
		releases, err := c.Releases(t.Context(), try.stack)
		if err != nil || len(releases) != 1 || releases[0].By != try.want {
			t.Errorf("%s: releases %+v, %v", try.stack, releases, err)
		}
	}
}

func TestAChangeIsRecordedByItsRealUser(t *testing.T) {
	me, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	c := reach(t)
	m := rhumb.Stack{Name: "shop", Services: []rhumb.Service{{
		Name: "web", Replicas: 1, Order: rhumb.StartFirst, Container: rhumb.Container{Image: "web:1"},
		Ready: rhumb.Ready{Kind: rhumb.ReadyRunning, Timeout: time.Millisecond},
	}}}
	d, err := c.Deploy(t.Context(), rhumb.DeployRequest{Model: m}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range c.Events(t.Context(), rhumb.EventFilter{Deployment: d.ID, Follow: true}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Phase.Ended() && e.Kind == rhumb.EventDeployment {
			break
		}
	}
	down := rhumb.ChangeRequest{Stack: "shop", Cause: rhumb.CauseDown, By: "mallory@elsewhere"}
	if d, err = c.Change(t.Context(), down); err != nil || d.By != me.Username+" (mallory@elsewhere)" {
		t.Errorf("by %q, %v", d.By, err)
	}
}
