package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is a rhumb server of the benchmark's own, and its client.
type server struct {
	o      options
	dir    string
	server *exec.Cmd
}

func newServer(ctx context.Context, o options, observe string) (*server, error) {
	dir, err := os.MkdirTemp("", "rhumb-bench-")
	if err != nil {
		return nil, err
	}
	r := &server{o: o, dir: dir}
	log, err := os.Create(filepath.Join(dir, "server.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	r.server = exec.Command(o.rhumb, "server", "--data", filepath.Join(dir, "data"), "--socket", r.socket(), "--http",
		"127.0.0.1:24499", "--https", "", "--observe", observe)
	r.server.Stdout, r.server.Stderr = log, log
	// an interrupt is for this program, which then takes the stack down
	r.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := r.server.Start(); err != nil {
		return nil, err
	}
	for range 200 {
		if err = r.run(ctx, "", "stacks"); err == nil {
			return r, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	r.close(ctx)
	return nil, fmt.Errorf("the server doesn't answer: %w", err)
}

func (r *server) socket() string { return filepath.Join(r.dir, "rhumb.sock") }

func (r *server) deploy(ctx context.Context, file string) error {
	return r.run(ctx, file, "deploy", "-f", "-", "-p", "rhumbbench")
}

func (r *server) down(ctx context.Context) error { return r.run(ctx, "", "down", "-p", "rhumbbench") }

func (r *server) run(ctx context.Context, stdin string, args ...string) error {
	cmd := exec.CommandContext(ctx, r.o.rhumb, args...)
	cmd.Env = append(os.Environ(), "RHUMB_HOST=unix://"+r.socket())
	return output(cmd, stdin)
}

// close takes the stack down, and stops the server and the processes that outlive it.
func (r *server) close(ctx context.Context) {
	_ = r.down(ctx)
	others, _ := r.processes() // those that are there
	_ = r.server.Process.Signal(syscall.SIGTERM)
	_ = r.server.Wait()
	for name, pid := range others {
		if name != "server" {
			_ = syscall.Kill(pid, syscall.SIGTERM)
		}
	}
	for late := time.Now().Add(10 * time.Second); time.Now().Before(late); time.Sleep(50 * time.Millisecond) {
		if left, _ := r.processes(); len(left) == 0 { // they write to the folder until they end
			break
		}
	}
	os.RemoveAll(r.dir)
}

// compose is docker-compose. It returns before its containers are ready, so the measurement includes waiting for
// them.
type compose struct{ o options }

func newCompose(o options) (*compose, error) {
	if _, err := exec.LookPath("docker-compose"); err != nil {
		return nil, fmt.Errorf("docker-compose is missing: install it first (Debian: apt-get install docker-compose)")
	}
	return &compose{o}, nil
}

func (c *compose) up(ctx context.Context, file string) error {
	// ports of its own
	file = strings.ReplaceAll(file, fmt.Sprintf(":%d", firstPort/100), fmt.Sprintf(":%d", firstPort/100+1))
	cmd := exec.CommandContext(ctx, "docker-compose", "-f", "-", "-p", "composebench", "up", "-d")
	if err := output(cmd, "version: '3.8'\n"+strings.ReplaceAll(file, "    pull_policy: never\n", "")); err != nil {
		return err
	}
	for i := range strings.Count(file, "image:") {
		url := fmt.Sprintf("http://127.0.0.1:%d/", firstPort+100+i)
		if err := answersHTTP(ctx, url); err != nil { // Docker's own proxy accepts connections before the application does
			return err
		}
	}
	return nil
}

func (c *compose) clean(ctx context.Context) {
	file := manyServices(c.o, 10)
	cmd := exec.CommandContext(ctx, "docker-compose", "-f", "-", "-p", "composebench", "down", "-t", "1")
	_ = output(cmd, "version: '3.8'\n"+strings.ReplaceAll(file, "    pull_policy: never\n", ""))
}

func answersHTTP(ctx context.Context, url string) error {
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	deadline := time.Now().Add(30 * time.Second)
	for ctx.Err() == nil && time.Now().Before(deadline) {
		res, err := client.Get(url)
		if err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
			return res.Body.Close()
		}
		time.Sleep(2 * time.Millisecond)
	}
	return fmt.Errorf("%s doesn't answer", url)
}

// output runs a command and includes its output in the error.
func output(cmd *exec.Cmd, stdin string) error {
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out)
	}
	return nil
}
