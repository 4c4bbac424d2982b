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
	began, addr := time.Now(), os.Getenv("DB")
	err := askEcho(addr, duration(os.Getenv("DB_TIMEOUT"), 0))
	if took := time.Since(began); err == nil && took > slowQuery {
		fmt.Fprintf(os.Stderr, "warning: slow query: %s answered after %s\n", addr, took.Round(time.Millisecond))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "error: no answer from %s: %v\n", addr, err)
		http.Error(w, "error establishing a database connection: "+err.Error(), http.StatusInternalServerError)
		return
	}
	whoami(w, r)
}

// slowQuery is how long an answer may take without a line about it.
const slowQuery = 250 * time.Millisecond

// askEcho sends a line to an echo, and fails unless it comes back in time. Without a limit it has any time.
func askEcho(addr string, limit time.Duration) error {
	d := net.Dialer{Timeout: limit}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	if limit > 0 {
		if err := c.SetDeadline(time.Now().Add(limit)); err != nil {
			return err
		}
	}
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
