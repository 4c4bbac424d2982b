package networks

import (
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"rhumb"
	"rhumb/engine/docker/internal/conn"
	"rhumb/engine/docker/internal/label"
)

func TestANetworkInUseSaysWhatUsesIt(t *testing.T) {
	for says, containers := range map[string]map[string]any{
		"a container uses it":                 {"c1": map[string]any{"Name": "foreign"}},
		"counts a container in it that isn't": {},
	} {
		answer := func(w http.ResponseWriter, status int, v any) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(v) // the client reports what is missing
		}
		m := http.NewServeMux()
		m.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
		m.HandleFunc("GET /v1.41/networks/{name}", func(w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, map[string]any{"Name": r.PathValue("name"), "Id": "n1",
				"Labels": map[string]string{label.Stack: "shop"}, "Containers": containers})
		})
		m.HandleFunc("GET /v1.41/containers/{id}/json", func(w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, map[string]any{"Id": r.PathValue("id"), "Config": map[string]any{}})
		})
		m.HandleFunc("DELETE /v1.41/networks/{id}", func(w http.ResponseWriter, _ *http.Request) {
			answer(w, http.StatusForbidden, map[string]any{"message": "network has active endpoints"})
		})
		err := removeFrom(t, m, "shop_default")
		if rhumb.ErrorCode(err) != rhumb.Conflict || !strings.Contains(err.Error(), says) {
			t.Errorf("with the containers %v: %v", containers, err)
		}
	}
}

// removeFrom removes a network of the stack shop from an engine.
func removeFrom(t *testing.T, engine http.Handler, name string) error {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(engine)
	_ = s.Listener.Close() // the one on TCP
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	c, err := conn.New("unix://"+path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.API.Close() })
	return New(c).RemoveNetwork(t.Context(), "shop", name)
}
