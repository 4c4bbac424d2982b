package act

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"rhumb"
	"rhumb/control/ready"
	"rhumb/control/scene"
	"rhumb/rollout"
)

func TestACheckReachesReplicasThatHaveOnlyIPv6(t *testing.T) {
	l, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here:", err)
	}
	server := &http.Server{Handler: http.RedirectHandler("/elsewhere", http.StatusFound),
		ReadHeaderTimeout: time.Second}
	go func() { _ = server.Serve(l) }() // ends with Close
	defer server.Close()
	at := l.Addr().(*net.TCPAddr).AddrPort()
	web := rhumb.Service{Name: "web", After: &rhumb.Check{Path: "/alive?deep=1", Port: at.Port(), Timeout: time.Second}}
	rep := rhumb.Replica{Service: "web", Slot: 1, State: rhumb.StateRunning,
		Addrs: map[string]netip.Addr{"shop_default": at.Addr()}}
	run, err := New(Deps{Log: slog.New(slog.DiscardHandler)}, "shop", ready.New()).ask(t.Context(),
		&scene.Scene{Observed: rollout.Observed{Replicas: []rhumb.Replica{rep}}}, &web, rhumb.HookRun{})
	if err != nil || run.Failed != "" {
		t.Errorf("%v; %+v", err, run)
	}
}
