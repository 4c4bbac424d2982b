package client_test

import (
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"rhumb"
	"rhumb/httpapi"
	"rhumb/httpapi/client"
)

// whole is everything that a client calls.
type whole interface {
	rhumb.Server
	rhumb.Observer
	rhumb.LogForwarding
	rhumb.Metrics
	rhumb.Alerts
	rhumb.Explainer
	rhumb.Dashboard
	rhumb.BanBook
}

// serve serves s on a unix socket and returns a client for it.
func serve(t *testing.T, s whole) *client.Client {
	t.Helper()
	return serveSome(t, allOf(s))
}

func allOf(s whole) httpapi.Services {
	all := httpapi.All(s)
	all.Observer, all.Forwarding = s, s
	all.Metrics, all.Alerts, all.Explainer, all.Dashboard, all.Bans = s, s, s, s, s
	return all
}

// serveSome serves a part of a server.
func serveSome(t *testing.T, s httpapi.Services) *client.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	log := slog.New(slog.DiscardHandler)
	go func() { done <- httpapi.Serve(ctx, ln, httpapi.New(s, log), log) }()
	c, err := client.New("unix://" + path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		stop()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return c
}

func TestAServiceThatIsNotOfferedIsUnsupported(t *testing.T) {
	for i := range reflect.TypeFor[httpapi.Services]().NumField() {
		field := reflect.TypeFor[httpapi.Services]().Field(i)
		t.Run(field.Name, func(t *testing.T) {
			s := allOf(&fake{})
			reflect.ValueOf(&s).Elem().Field(i).SetZero()
			c := serveSome(t, s)
			for name, call := range calls {
				_, err := call(t.Context(), c)
				refused := rhumb.ErrorCode(err) == rhumb.Unsupported && strings.Contains(err.Error(), "this server doesn't offer ")
				if _, absent := field.Type.MethodByName(name); absent != refused {
					t.Errorf("%s: got %v", name, err)
				}
			}
		})
	}
}

func TestEveryMethodOfServerIsAServices(t *testing.T) {
	has := map[string]int{}
	for i := range reflect.TypeFor[httpapi.Services]().NumField() {
		service := reflect.TypeFor[httpapi.Services]().Field(i).Type
		for m := range service.NumMethod() {
			has[service.Method(m).Name]++
		}
	}
	server := reflect.TypeFor[whole]()
	for m := range server.NumMethod() {
		if name := server.Method(m).Name; has[name] != 1 || calls[name] == nil {
			t.Errorf("%s is in %d services, and called by the contract: %v", name, has[name], calls[name] != nil)
		}
	}
}
