package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	followed  = 1000             // lines whose delay is measured
	idleTime  = 30 * time.Second // for which processes are watched
	idleCount = 20               // replicas
)

// followAndIdle measures how late a line reaches who follows it, and what the processes take when nothing happens.
func followAndIdle(ctx context.Context, o options) error {
	s, err := newServer(ctx, o, "own")
	if err != nil {
		return err
	}
	defer s.close(context.WithoutCancel(ctx))
	write := fmt.Sprintf("services:\n  web:\n    image: %s\n    pull_policy: never\n"+
		"    environment: {ADDR: none, COUNT: \"50\", LENGTH: \"120\"}\n", o.image)
	if err := s.deploy(ctx, write); err != nil {
		return err
	}
	ours, err := delays(ctx, s.follow(ctx), func(line []byte) (time.Time, error) {
		var l struct{ Time time.Time }
		return l.Time, json.Unmarshal(line, &l)
	})
	if err != nil {
		return err
	}
	peer := exec.CommandContext(ctx, "docker", "logs", "-f", "-t", "--tail", "0", "rhumbbench-web.1.1")
	docker, err := delays(ctx, peer, func(line []byte) (time.Time, error) {
		at, _, _ := strings.Cut(string(line), " ")
		return time.Parse(time.RFC3339Nano, at)
	})
	if err != nil {
		return err
	}
	fmt.Printf("Delay of %d lines from the engine's stamp to a follower\n", followed)
	for name, d := range map[string]series{"docker logs -f": docker, "rhumb logs -f": ours} {
		slices.Sort(d)
		fmt.Printf("  %-46s median %7s  p99 %7s  max %7s   ratio to docker logs at p99: %.2f\n", name, ms(d.median()),
			ms(d[len(d)*99/100]), ms(d[len(d)-1]), float64(d[len(d)*99/100])/float64(docker[len(docker)*99/100]))
	}
	if err := s.deploy(ctx, quietService(o, idleCount)); err != nil {
		return err
	}
	return s.idle(ctx)
}

// follow returns the command that follows the stack's lines.
func (r *server) follow(ctx context.Context) *exec.Cmd {
	cmd := exec.CommandContext(ctx, r.o.rhumb, "logs", "-p", "rhumbbench", "-f", "-n", "0", "--format", "json")
	cmd.Env = append(os.Environ(), "RHUMB_HOST=unix://"+r.socket())
	return cmd
}

// delays returns how late the lines are that a command prints. stamp reads a line's time.
func delays(ctx context.Context, cmd *exec.Cmd, stamp func([]byte) (time.Time, error)) (series, error) {
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = nil
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	var all series
	for in := bufio.NewScanner(out); len(all) < followed && in.Scan(); {
		at, err := stamp(in.Bytes())
		if err != nil {
			return nil, fmt.Errorf("line %q: %w", in.Text(), err)
		}
		all = append(all, time.Since(at))
	}
	if len(all) < followed {
		return nil, fmt.Errorf("%s: only %d lines", cmd.Path, len(all))
	}
	return all, nil
}

// idle prints what the server's processes take while nothing happens.
func (r *server) idle(ctx context.Context) error {
	pids, err := r.processes()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2 * idleTime): // the stores close what they don't use
	}
	before := map[string]time.Duration{}
	for name, pid := range pids {
		before[name] = cpuOf(pid)
	}
	time.Sleep(idleTime)
	fmt.Printf("Idle, with %d replicas, over %s\n", idleCount, idleTime)
	for _, name := range []string{"server", "proxy", "observe"} {
		rss, pss := memoryOf(pids[name])
		fmt.Printf("  %-46s %.2f%% of a core, %d MB resident, %d MB without what the processes share\n", name,
			100*(cpuOf(pids[name])-before[name]).Seconds()/idleTime.Seconds(), rss>>10, pss>>10)
	}
	fmt.Println()
	return nil
}

// processes returns the server's processes by their subcommands.
func (r *server) processes() (map[string]int, error) {
	pids := map[string]int{}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		args := strings.Split(string(b), "\x00")
		if err == nil && len(args) > 1 && strings.Contains(string(b), r.dir+"/") {
			pids[args[1]], _ = strconv.Atoi(filepath.Base(filepath.Dir(file)))
		}
	}
	for _, name := range []string{"server", "proxy", "observe"} {
		if pids[name] == 0 {
			return pids, fmt.Errorf("the server has no process %s", name)
		}
	}
	return pids, nil
}

// cpuOf returns how much time a process has spent on the processors.
func cpuOf(pid int) time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond // USER_HZ is 100
}

// memoryOf returns a process's resident memory, and its own with its share of what others map too, in kB.
func memoryOf(pid int) (rss, pss int) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		switch f[0] {
		case "Rss:":
			rss, _ = strconv.Atoi(f[1])
		case "Pss:":
			pss, _ = strconv.Atoi(f[1])
		}
	}
	return rss, pss
}
