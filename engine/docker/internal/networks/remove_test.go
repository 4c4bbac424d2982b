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
	foreign, beside := map[string]any{"c1": map[string]any{}}, map[string]any{"beside": map[string]any{}}
	const uses, leaked = "a container uses it", "counts a container in it that isn't"
	for name, c := range map[string]struct {
		before, after map[string]any // what is in it before the engine refuses to remove it, and after
		says          string
	}{
		"a container is in it":      {foreign, foreign, uses},
		"a container has joined it": {nil, foreign, uses},
		"nothing is in it":          {nil, nil, leaked},
		"a replica was beside":      {beside, nil, leaked},
	} {
		containers := c.before
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
			labels := map[string]string{}
			if r.PathValue("id") == "beside" {
				labels[label.Beside] = "shop_default"
			}
			answer(w, http.StatusOK, map[string]any{"Id": r.PathValue("id"), "Config": map[string]any{"Labels": labels}})
		})
		m.HandleFunc("POST /v1.41/networks/{id}/disconnect", func(http.ResponseWriter, *http.Request) {})
		m.HandleFunc("DELETE /v1.41/networks/{id}", func(w http.ResponseWriter, _ *http.Request) {
			containers = c.after
			answer(w, http.StatusForbidden, map[string]any{"message": "network has active endpoints"})
		})
		err := removeFrom(t, m, "shop_default")
		if rhumb.ErrorCode(err) != rhumb.Conflict || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestARefusalIsNotGuessedAt(t *testing.T) {
	for status, says := range map[int]string{
		http.StatusNotFound:            "", // it is gone meanwhile
		http.StatusInternalServerError: "the engine's own words",
	} {
		refused := false
		m := http.NewServeMux()
		m.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
		m.HandleFunc("GET /v1.41/networks/{name}", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			if refused {
				w.WriteHeader(status)
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"Name": r.PathValue("name"), "Id": "n1", "message": "no answer",
				"Labels": map[string]string{label.Stack: "shop"}}) // the client reports what is missing
		})
		m.HandleFunc("DELETE /v1.41/networks/{id}", func(w http.ResponseWriter, _ *http.Request) {
			refused = true
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_ = json.NewEncoder(w).Encode(map[string]any{"message": "the engine's own words"})
		})
		err := removeFrom(t, m, "shop_default")
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("after the look that ends with %d: %v", status, err)
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
