package main

import (
	"fmt"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// faults are what the program does beside its work. Each begins with the variable of its name in capitals, and
// "/set?burn=0.5&delay=80ms" changes them while it runs.
var faults struct {
	mu   sync.Mutex
	held [][]byte // what HOLD and LEAK keep, a megabyte each

	burn  atomic.Int64 // BURN: thousandths of a CPU that are kept busy
	delay atomic.Int64 // DELAY: how long each request to / takes, in nanoseconds
	fail  atomic.Int64 // FAIL: thousandths of the requests to / that are answered with 500
	leak  atomic.Int64 // LEAK: megabytes that are added to HOLD each second
	work  atomic.Int64 // WORK: the CPU time that each request to / takes, in nanoseconds
	stall atomic.Int64 // STALL: how long the echo of TCP waits before it answers, in nanoseconds

	requests atomic.Int64 // to /
}

// applyFaults sets the faults that value has. HOLD is the megabytes that are kept in memory.
func applyFaults(value func(name string) string) {
	thousandths := func(name string, to *atomic.Int64) {
		if f, err := strconv.ParseFloat(value(name), 64); err == nil {
			to.Store(int64(f * 1000))
		}
	}
	thousandths("burn", &faults.burn)
	thousandths("fail", &faults.fail)
	for name, to := range map[string]*atomic.Int64{"delay": &faults.delay, "work": &faults.work,
		"stall": &faults.stall} {
		if text := value(name); text != "" {
			to.Store(int64(duration(text, 0)))
		}
	}
	if n, err := strconv.ParseInt(value("leak"), 10, 64); err == nil {
		faults.leak.Store(n)
	}
	if n, err := strconv.Atoi(value("hold")); err == nil {
		hold(n)
	}
}

// hold keeps so many megabytes in memory, every page of them in use.
func hold(megabytes int) {
	faults.mu.Lock()
	defer faults.mu.Unlock()
	faults.held = faults.held[:min(len(faults.held), megabytes)]
	for len(faults.held) < megabytes {
		b := make([]byte, 1<<20)
		for i := 0; i < len(b); i += 4096 {
			b[i] = 1
		}
		faults.held = append(faults.held, b)
	}
}

// sin burns and leaks, for as long as the program runs.
func sin() {
	go func() {
		const slice = 20 * time.Millisecond
		for {
			if faults.burn.Load() == 0 { // many of these programs run beside each other
				time.Sleep(10 * slice)
				continue
			}
			busy := time.Duration(faults.burn.Load()) * slice / 1000
			for began := time.Now(); time.Since(began) < busy; {
				_ = rand.Int() // any work
			}
			time.Sleep(slice - min(busy, slice))
		}
	}()
	go func() {
		for range time.Tick(time.Second) {
			if n := int(faults.leak.Load()); n > 0 {
				faults.mu.Lock()
				had := len(faults.held)
				faults.mu.Unlock()
				hold(had + n)
			}
		}
	}()
}

// set changes the faults, and writes the line in "log" or "err" to a stream.
func set(w http.ResponseWriter, r *http.Request) {
	applyFaults(r.FormValue)
	if text := r.FormValue("log"); text != "" {
		fmt.Println(text)
	}
	if text := r.FormValue("err"); text != "" {
		fmt.Fprintln(os.Stderr, text)
	}
	fmt.Fprintln(w, "ok")
}

// suffer does to a request to / what the faults are. It reports whether the request is to fail.
func suffer() bool {
	faults.requests.Add(1)
	toil(time.Duration(faults.work.Load()))
	time.Sleep(time.Duration(faults.delay.Load()))
	return rand.Int64N(1000) < faults.fail.Load()
}

// toil uses so much CPU time. It takes longer where others want the CPU too, or where a limit is reached.
func toil(work time.Duration) {
	if work == 0 {
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for began := threadTime(); threadTime()-began < work; {
		for range 10_000 {
			_ = rand.Int()
		}
	}
}

// threadTime returns the CPU time that the calling thread has used.
func threadTime() time.Duration {
	const thisThread = 1 // RUSAGE_THREAD
	var u syscall.Rusage
	if err := syscall.Getrusage(thisThread, &u); err != nil {
		log.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// metrics answers in the text format of Prometheus.
func metrics(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintf(w, "# TYPE app_requests_total counter\napp_requests_total{path=\"/\",stack=\"mine\"} %d\n",
		faults.requests.Load())
}
