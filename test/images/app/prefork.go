package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
)

// inherited is the descriptor at which a worker finds its listener.
const inherited = 3

// prefork listens, and has n workers serve what comes in.
func prefork(ctx context.Context, n string) error {
	count, err := strconv.Atoi(n)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", address())
	if err != nil {
		return err
	}
	file, err := l.(*net.TCPListener).File()
	if err != nil {
		return err
	}
	ended := make(chan error, count)
	workers := make([]*exec.Cmd, count)
	for i := range workers {
		w := exec.Command("/proc/self/exe")
		w.Env = append(os.Environ(), "WORKERS=", fmt.Sprintf("LISTENER=%d", inherited))
		w.ExtraFiles, w.Stdout, w.Stderr = []*os.File{file}, os.Stdout, os.Stderr
		if err := w.Start(); err != nil {
			return err
		}
		workers[i] = w
		go func() { ended <- w.Wait() }()
	}
	fmt.Println("master listening on", l.Addr())
	select {
	case err := <-ended:
		return fmt.Errorf("a worker failed to boot: %w", err)
	case <-ctx.Done():
	}
	for _, w := range workers {
		_ = w.Process.Signal(syscall.SIGTERM)
	}
	for range workers {
		if err := <-ended; err != nil {
			fmt.Println("a worker ended:", err)
		}
	}
	return nil
}

// listen opens the listener, unless it is inherited.
func listen(addr string) (net.Listener, error) {
	if os.Getenv("LISTENER") != "" {
		return net.FileListener(os.NewFile(inherited, "listener"))
	}
	return net.Listen("tcp", addr)
}
