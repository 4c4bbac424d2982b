package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// answer is what most paths say.
type answer struct {
	Release string
	Host    string
	Proto   string
	Remote  string
	Header  http.Header
}

// sockets counts the open WebSockets, so that the program doesn't end before they are closed properly.
var sockets sync.WaitGroup

func routes(stopping <-chan struct{}) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/", whoami)
	mux.HandleFunc("/health", health)
	mux.HandleFunc("/db", db)
	mux.HandleFunc("/slow", slow)
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) { echoWebSocket(w, r, stopping) })
	mux.HandleFunc("/file", file)
	mux.HandleFunc("/set", set)
	mux.HandleFunc("/metrics", metrics)
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "panic: as /crash asked")
		os.Exit(1)
	})
	return mux
}

func whoami(w http.ResponseWriter, r *http.Request) {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Release", os.Getenv("RELEASE"))
	if r.URL.Path == "/" && suffer() {
		fmt.Fprintln(os.Stderr, "error: the request failed, as FAIL asked")
		w.WriteHeader(http.StatusInternalServerError)
	} else if status, err := strconv.Atoi(os.Getenv("STATUS")); err == nil && r.URL.Path == "/" {
		w.WriteHeader(status)
	}
	a := answer{Release: os.Getenv("RELEASE"), Host: host, Proto: r.Proto, Remote: r.RemoteAddr, Header: r.Header}
	if err := json.NewEncoder(w).Encode(a); err != nil {
		fmt.Fprintln(os.Stderr, "answer:", err)
	}
}

func health(w http.ResponseWriter, _ *http.Request) {
	how := os.Getenv("HEALTH")
	if how != "" {
		_, err := os.Stat(how)
		if how == "bad" || err == nil {
			http.Error(w, "the database is not reachable", http.StatusServiceUnavailable)
			return
		}
	}
	fmt.Fprintln(w, "ok")
}

// slow answers after d (5s), or gives up when the client has gone.
func slow(w http.ResponseWriter, r *http.Request) {
	d := duration(r.FormValue("d"), 5*time.Second)
	select {
	case <-time.After(d):
		whoami(w, r)
	case <-r.Context().Done():
	}
}

// db asks the echo at DB, and answers once that has answered.
func db(w http.ResponseWriter, r *http.Request) {
	if err := askEcho(os.Getenv("DB")); err != nil {
		http.Error(w, "error establishing a database connection: "+err.Error(), http.StatusInternalServerError)
		return
	}
	whoami(w, r)
}

// askEcho sends a line to an echo, and fails unless it comes back.
func askEcho(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	const line = "select 1\n"
	if _, err := io.WriteString(c, line); err != nil {
		return err
	}
	got := make([]byte, len(line))
	_, err = io.ReadFull(c, got)
	return err
}

// file returns a file of the container, so that a test can see what is mounted.
func file(w http.ResponseWriter, r *http.Request) {
	content, err := os.ReadFile(r.FormValue("path"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	if _, err := w.Write(content); err != nil {
		fmt.Fprintln(os.Stderr, "file:", err)
	}
}

// echoWebSocket sends back what it gets, and says that it goes away when the program stops.
func echoWebSocket(w http.ResponseWriter, r *http.Request, stopping <-chan struct{}) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	sockets.Add(1)
	defer sockets.Done()
	ctx := r.Context()
	go func() {
		select {
		case <-stopping:
			_ = c.Close(websocket.StatusGoingAway, "stopping")
		case <-ctx.Done():
		}
	}()
	for {
		kind, data, err := c.Read(ctx)
		if err != nil {
			return
		}
		if err := c.Write(ctx, kind, data); err != nil {
			return
		}
	}
}
