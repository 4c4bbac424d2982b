// Command testapp is the program inside the containers that engine/docker's tests start. It does what its arguments
// say, one after the other: print LINE, err LINE, lines N, long BYTES, exit CODE, sleep DURATION, ignore (SIGTERM),
// trap (it: exit with 0), listen PORT, cat FILE, stat FILE, write FILE TEXT, copy (stdin to
// stdout), env NAME, spawn (a sleeping child, then sleep), size (of the terminal, at each
// change), eat (all memory).
package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	args := os.Args[1:]
	if len(args) == 0 {
		args = []string{"trap", "sleep", "1h"}
	}
	for len(args) > 0 {
		verb := args[0]
		args = args[1:]
		next := func() string {
			if len(args) == 0 {
				fmt.Fprintln(os.Stderr, "testapp: argument missing after", verb)
				os.Exit(2)
			}
			a := args[0]
			args = args[1:]
			return a
		}
		do(verb, next)
	}
}

func do(verb string, next func() string) {
	switch verb {
	case "print":
		fmt.Println(next())
	case "err":
		fmt.Fprintln(os.Stderr, next())
	case "lines":
		printLines(number(next()))
	case "long":
		fmt.Println(strings.Repeat("x", number(next())))
	case "exit":
		os.Exit(number(next()))
	case "sleep":
		d, err := time.ParseDuration(next())
		check(err)
		time.Sleep(d)
	case "ignore":
		signal.Ignore(syscall.SIGTERM)
	case "listen":
		listen(next())
	case "cat":
		b, err := os.ReadFile(next())
		check(err)
		_, err = os.Stdout.Write(b)
		check(err)
	case "stat":
		stat(next())
	case "write":
		check(os.WriteFile(next(), []byte(next()), 0o644))
	case "copy":
		check(second(io.Copy(os.Stdout, os.Stdin)))
	case "env":
		fmt.Println(os.Getenv(next()))
	default:
		if alone := map[string]func(){"trap": trap, "spawn": spawn, "size": size, "eat": eat}[verb]; alone != nil {
			alone()
			return
		}
		fmt.Fprintln(os.Stderr, "testapp: unknown verb", verb)
		os.Exit(2)
	}
}

func trap() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGTERM)
	go func() {
		<-c
		fmt.Println("terminated")
		os.Exit(0)
	}()
}

func spawn() {
	c := exec.Command("/app", "ignore", "print", "child", "sleep", "1h")
	check(c.Start())
	time.Sleep(time.Hour)
}

func printLines(n int) {
	w := bufio.NewWriterSize(os.Stdout, 1<<16)
	for i := range n {
		fmt.Fprintf(w, "line %d\n", i)
	}
	check(w.Flush())
}

func listen(port string) {
	l, err := net.Listen("tcp", ":"+port)
	check(err)
	for {
		c, err := l.Accept()
		check(err)
		fmt.Fprintln(c, "hello")
		c.Close()
	}
}

func stat(path string) {
	var s unix.Stat_t
	check(unix.Stat(path, &s))
	fmt.Printf("%d:%d %o\n", s.Uid, s.Gid, s.Mode&0o7777)
}

func size() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGWINCH)
	for range c {
		w, err := unix.IoctlGetWinsize(0, unix.TIOCGWINSZ)
		check(err)
		fmt.Printf("%dx%d\n", w.Row, w.Col)
		if w.Row == 40 {
			return
		}
	}
}

func second(_ int64, err error) error { return err }

// eat takes all the memory there is.
func eat() {
	var all [][]byte
	for {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = 1
		}
		all = append(all, b)
		if len(all) > 1<<12 {
			os.Exit(3) // there is no limit
		}
	}
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	check(err)
	return n
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "testapp:", err)
		os.Exit(1)
	}
}
