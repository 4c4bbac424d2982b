package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"rhumb"
	"rhumb/internal/porttest"
)

// startAlertmanager runs a real Alertmanager that posts to a webhook, and returns its address.
func startAlertmanager(t *testing.T, webhook string) string {
	t.Helper()
	tool, err := exec.LookPath("prometheus-alertmanager")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("prometheus-alertmanager isn't installed: it is Debian's package of this name")
	}
	dir := t.TempDir()
	config := "route: {receiver: test, group_wait: 1s, group_interval: 1s, group_by: [stack]}\n" +
		"receivers: [{name: test, webhook_configs: [{url: '" + webhook + "'}]}]\n"
	if err := os.WriteFile(filepath.Join(dir, "c.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := "127.0.0.1:" + strconv.Itoa(porttest.Free(t))
	ctx, stop := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, tool, "--config.file=c.yml", "--storage.path=data", "--cluster.listen-address=",
		"--web.listen-address="+addr)
	cmd.Dir = dir
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Alertmanager said:\n%s", &said)
		}
	})
	until(t, "it answers", func() bool {
		resp, err := http.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return addr
}

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

func TestARealAlertmanagerReceivesAndResolves(t *testing.T) {
	hook := serve(t, 200)
	addr := startAlertmanager(t, hook.URL)
	n, err := New(Options{URLs: []string{"alertmanager+http://" + addr}, Host: "host1",
		Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	a := message(Firing).New[0]
	a.Since = time.Now().Add(-time.Minute)
	posted := func(status string) func() bool {
		return func() bool {
			hook.mu.Lock()
			defer hook.mu.Unlock()
			for _, body := range hook.bodies {
				var got struct {
					Alerts []struct {
						Status      string
						Labels      map[string]string
						Annotations map[string]string
					}
				}
				if err := json.Unmarshal([]byte(body), &got); err != nil {
					t.Error(err)
				}
				for _, x := range got.Alerts {
					if x.Status == status && x.Labels["alertname"] == "HighLatency" && x.Labels["stack"] == "shop" &&
						strings.Contains(x.Annotations["summary"], "<!everyone>") {
						return true
					}
				}
			}
			return false
		}
	}
	n.Current([]rhumb.Alert{a}, nil)
	until(t, "it fires", func() bool {
		n.Current([]rhumb.Alert{a}, nil)
		return posted("firing")()
	})
	a.State, a.Resolved = rhumb.AlertResolved, time.Now()
	n.Current(nil, []rhumb.Alert{a})
	until(t, "it is resolved", posted("resolved"))
	if s := n.Receivers()[0]; s.Sent.IsZero() || s.LastError != "" {
		t.Errorf("it is %+v", s)
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
