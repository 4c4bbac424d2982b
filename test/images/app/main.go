// Command app is the application that the end-to-end tests and the benchmarks deploy. It does what its environment
// tells it to, the wrong things too:
//
//	RELEASE      what it says it is
//	ADDR         where it serves HTTP (":8000"); "none": nowhere
//	TCP, UDP     where it echoes raw bytes; empty: nowhere
//	START_DELAY  how long it takes before it listens
//	WORKERS      how many processes serve at one listener, which it opens at once; START_DELAY and EXIT_AFTER are
//	             theirs, and it fails as soon as one of them ends
//	NEEDS        the address of what must accept connections at the start; it fails if that doesn't
//	DB           the address of an echo that /db asks, on a connection of its own
//	DB_TIMEOUT   how long it waits for that echo; empty: for as long as it takes
//	STATUS       what / is answered with (200)
//	HEALTH       "bad": /health answers 503; a file's path: 503 as soon as that file exists
//	EXIT_AFTER   how long after its start it exits with EXIT_CODE (1)
//	STOP_DELAY   how long it goes on after its stop signal, at least; it always finishes its requests
//	COUNT        how many numbered lines it writes a second, each LENGTH bytes long; needs ADDR=none
//	BURN, DELAY, FAIL, HOLD, LEAK, STALL, WORK
//	             see faults.go
//	NOTES        a file to which it adds a line when it has been started ("started RELEASE") and gets its stop signal
//	             ("stopping RELEASE")
//
// "app check URL" exits with 0 if the URL answers 200: a health check for an image without a shell. "app exit CODE"
// exits, and "app sleep DURATION" sleeps. "app do VERB ARGUMENT ..." does one after the other: print TEXT, note LINE
// (in the file NOTES), sleep DURATION, get URL, resolve NAME (fails if it has an address), exit CODE.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) > 3 && os.Args[1] == "do" {
		do(os.Args[2:])
		return
	}
	if len(os.Args) > 2 {
		command(os.Args[1], os.Args[2])
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx); err != nil {
		log.Fatal(err)
	}
}

func command(verb, arg string) {
	switch verb {
	case "check":
		check(arg)
	case "exit":
		code, err := strconv.Atoi(arg)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("leaving with", code)
		os.Exit(code)
	case "sleep":
		time.Sleep(duration(arg, 0))
	default:
		log.Fatalf("unknown command %q", verb)
	}
}

func check(url string) {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		log.Fatal(err)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s %s\n", resp.Status, body)
	if resp.StatusCode != http.StatusOK {
		os.Exit(1)
	}
}

func serve(ctx context.Context) error {
	if n := os.Getenv("WORKERS"); n != "" {
		return prefork(ctx, n)
	}
	fmt.Println("starting", os.Getenv("RELEASE"))
	note("started " + os.Getenv("RELEASE"))
	exitLater()
	applyFaults(func(name string) string { return os.Getenv(strings.ToUpper(name)) })
	sin()
	time.Sleep(duration(os.Getenv("START_DELAY"), 0))
	if err := needs(os.Getenv("NEEDS")); err != nil {
		return err
	}
	if err := echoTCP(os.Getenv("TCP")); err != nil {
		return err
	}
	if err := echoUDP(os.Getenv("UDP")); err != nil {
		return err
	}
	addr := address()
	if addr == "none" {
		if os.Getenv("COUNT") != "" {
			count(ctx)
		}
		<-ctx.Done()
		note("stopping " + os.Getenv("RELEASE"))
		return nil
	}
	return serveHTTP(ctx, addr)
}

// address is where HTTP is served.
func address() string {
	if addr := os.Getenv("ADDR"); addr != "" {
		return addr
	}
	return ":8000"
}

// needs fails unless an address accepts connections.
func needs(addr string) error {
	if addr == "" {
		return nil
	}
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return fmt.Errorf("connection to %s failed: %w", addr, err)
	}
	return c.Close()
}

// exitLater crashes the program as EXIT_AFTER asks.
func exitLater() {
	after := os.Getenv("EXIT_AFTER")
	if after == "" {
		return
	}
	code, err := strconv.Atoi(os.Getenv("EXIT_CODE"))
	if err != nil {
		code = 1
	}
	time.AfterFunc(duration(after, 0), func() {
		fmt.Fprintln(os.Stderr, "panic: as EXIT_AFTER asked")
		os.Exit(code)
	})
}

func serveHTTP(ctx context.Context, addr string) error {
	l, err := listen(addr)
	if err != nil {
		return err
	}
	stopping := make(chan struct{})
	server := &http.Server{Handler: routes(stopping), ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		fmt.Println("stopping")
		note("stopping " + os.Getenv("RELEASE"))
		time.Sleep(duration(os.Getenv("STOP_DELAY"), 0))
		close(stopping) // ends the WebSockets, which the server doesn't know
		err := server.Shutdown(context.Background())
		sockets.Wait()
		done <- err
	}()
	fmt.Println("listening on", l.Addr())
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return <-done
}

// duration reads a duration; an empty text is def.
func duration(text string, def time.Duration) time.Duration {
	if text == "" {
		return def
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		log.Fatal(err)
	}
	return d
}
