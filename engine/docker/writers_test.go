package docker_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rhumb/engine/docker"
)

func TestOnlyNewAndChangedContainersAreInspected(t *testing.T) {
	dir := t.TempDir()
	states := map[string]string{"a": "running", "b": "exited"}
	inspected := ""
	serveEngine(t, filepath.Join(dir, "engine.sock"), func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Api-Version", "1.47")
		switch _, path, _ := strings.Cut(r.URL.Path, "/containers/"); path {
		case "":
		case "json":
			var list []string
			for _, id := range []string{"a", "b", "c"} {
				if states[id] != "" {
					list = append(list, fmt.Sprintf(`{"Id":%q,"State":%q}`, id, states[id]))
				}
			}
			fmt.Fprintf(w, "[%s]", strings.Join(list, ","))
		default:
			id, _, _ := strings.Cut(path, "/")
			inspected += id
			fmt.Fprintf(w, `{"Id":%q,"Name":"/shop-web.1.1","State":{"Status":%q,"Running":%v},"LogPath":"%s/x/%s-json.log",
				"Config":{"Labels":{"dev.rhumb.stack":"shop"}},"HostConfig":{"LogConfig":{"Type":"json-file"}}}`,
				id, states[id], states[id] == "running", dir, id)
		}
	})
	if err := os.Mkdir(filepath.Join(dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	e, err := docker.New(docker.Options{Host: "unix://" + filepath.Join(dir, "engine.sock")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	for _, c := range []struct {
		change    map[string]string
		inspected string
	}{
		{nil, "ab"}, {nil, ""}, {map[string]string{"c": "created"}, "c"}, {map[string]string{"c": "running"}, "c"},
		{map[string]string{"a": ""}, ""}, {map[string]string{"a": "running", "b": "running"}, "ab"},
	} {
		inspected = ""
		for id, state := range c.change {
			states[id] = state
		}
		ws, err := e.Writers(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if inspected != c.inspected {
			t.Errorf("after %v: inspected %q, want %q", c.change, inspected, c.inspected)
		}
		for _, w := range ws {
			if want := filepath.Join(dir, "x", w.Line.Container+"-json.log"); w.File != want || w.Line.Stack != "shop" {
				t.Errorf("writer: %+v", w)
			}
		}
	}
}

// serveEngine serves an engine's API on a socket.
func serveEngine(t *testing.T, path string, serve http.HandlerFunc) {
	t.Helper()
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: serve}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.Close()
		<-ended
	})
}
