package docker_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"

	"rhumb"
	"rhumb/engine/docker"
)

// daemon is an engine of API 1.44 as far as a start needs it, with at most one container. As engines of API 1.44 to
// 1.53 do, it ignores the MAC address when it connects a container to a network.
type daemon struct {
	mu      sync.Mutex
	made    int
	there   *container.CreateRequest // nil: none
	joined  map[string]string        // the networks of the container: their MAC addresses
	running bool
	broken  bool // it fails to start a container
}

// newDaemon returns a daemon and an engine that uses it.
func newDaemon(t *testing.T) (*daemon, *docker.Engine) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "engine.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{}
	s := httptest.NewUnstartedServer(d.mux())
	_ = s.Listener.Close() // the one on TCP
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	e, err := docker.New(docker.Options{Host: "unix://" + path, Files: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	return d, e
}

func (d *daemon) mux() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.44") })
	m.HandleFunc("GET /images/{ref}/json", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, map[string]any{"Id": r.PathValue("ref")})
	})
	m.HandleFunc("POST /containers/create", d.create)
	m.HandleFunc("GET /containers/{id}/json", d.inspect)
	m.HandleFunc("DELETE /containers/{id}", func(http.ResponseWriter, *http.Request) { d.there = nil })
	m.HandleFunc("POST /containers/{id}/start", func(w http.ResponseWriter, _ *http.Request) {
		if d.broken {
			answer(w, http.StatusInternalServerError, map[string]any{"message": "the engine is about to restart"})
			return
		}
		d.running = true
		w.WriteHeader(http.StatusNoContent)
	})
	m.HandleFunc("POST /networks/{name}/connect", func(_ http.ResponseWriter, r *http.Request) {
		d.joined[r.PathValue("name")] = "any"
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		r.URL.Path = strings.TrimPrefix(r.URL.Path, "/v1.44")
		m.ServeHTTP(w, r)
	})
}

func (d *daemon) create(w http.ResponseWriter, r *http.Request) {
	if d.there != nil {
		answer(w, http.StatusConflict, map[string]any{"message": "the name is already in use"})
		return
	}
	d.there, d.joined = &container.CreateRequest{}, map[string]string{}
	if err := json.NewDecoder(r.Body).Decode(d.there); err != nil {
		answer(w, http.StatusBadRequest, map[string]any{"message": err.Error()})
		return
	}
	for name, ep := range d.there.NetworkingConfig.EndpointsConfig {
		d.joined[name] = ep.MacAddress.String()
	}
	d.made++
	answer(w, http.StatusCreated, container.CreateResponse{ID: fmt.Sprintf("%064x", d.made)})
}

func (d *daemon) inspect(w http.ResponseWriter, _ *http.Request) {
	if d.there == nil {
		answer(w, http.StatusNotFound, map[string]any{"message": "no such container"})
		return
	}
	state := &container.State{Status: container.StateCreated}
	if d.running {
		state = &container.State{Status: container.StateRunning, Running: true}
	}
	ns := &container.NetworkSettings{Networks: map[string]*network.EndpointSettings{}}
	for name := range d.joined {
		ns.Networks[name] = &network.EndpointSettings{}
	}
	answer(w, http.StatusOK, container.InspectResponse{ID: fmt.Sprintf("%064x", d.made), Name: "/shop-web.1.1",
		State: state, Config: d.there.Config, HostConfig: &container.HostConfig{}, NetworkSettings: ns})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client reports what is missing
}

func TestAStartThatWasCutOffKeepsItsMacAddresses(t *testing.T) {
	d, e := newDaemon(t)
	want := map[string]string{"front": "02:00:00:00:00:01", "back": "02:00:00:00:00:02", "beside": "any"}
	c := rhumb.Container{Image: "app", ImageID: "sha256:" + strings.Repeat("1", 64), Networks: []rhumb.Attachment{
		{Network: "front", MAC: want["front"]}, {Network: "back", MAC: want["back"]}}}
	s := rhumb.ReplicaSpec{Stack: "shop", Service: "web", Release: 1, Slot: 1, Container: c, Spec: c.Hash(),
		Beside: []rhumb.Attachment{{Network: "beside"}}}
	start := func(broken bool) error {
		d.mu.Lock()
		d.broken = broken
		d.mu.Unlock()
		_, err := e.Start(t.Context(), s)
		return err
	}
	state := func() (made int, joined map[string]string) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.made, maps.Clone(d.joined)
	}
	if err := start(true); err == nil {
		t.Fatal("it started")
	}
	if err := start(true); err == nil {
		t.Fatal("it started")
	}
	if made, _ := state(); made != 1 {
		t.Errorf("%d containers were created, although the first one had all its networks", made)
	}
	d.mu.Lock()
	delete(d.joined, "back")
	d.mu.Unlock()
	if err := start(false); err != nil {
		t.Fatal(err)
	}
	if made, joined := state(); made != 2 || !maps.Equal(joined, want) {
		t.Errorf("%d containers were created; the networks of the last one: %v, want %v", made, joined, want)
	}
}

func TestAStartThatWasCutOffKeepsItsContainerWithoutMac(t *testing.T) {
	d, e := newDaemon(t)
	c := rhumb.Container{Image: "app", ImageID: "sha256:" + strings.Repeat("1", 64),
		Networks: []rhumb.Attachment{{Network: "front"}, {Network: "back"}}}
	s := rhumb.ReplicaSpec{Stack: "shop", Service: "web", Release: 1, Slot: 1, Container: c, Spec: c.Hash()}
	d.mu.Lock()
	d.broken = true
	d.mu.Unlock()
	if _, err := e.Start(t.Context(), s); err == nil {
		t.Fatal("it started")
	}
	d.mu.Lock()
	d.broken = false
	delete(d.joined, "back")
	d.mu.Unlock()
	if _, err := e.Start(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.made != 1 || d.joined["back"] == "" {
		t.Errorf("%d containers were created, the last one is in %v", d.made, d.joined)
	}
}
