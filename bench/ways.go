package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Ways through which requests are measured. Each is a process of its own, one CPU wide.
const (
	wayOwn      = "rhumb"
	wayStandard = "rhumb, standard library"
	wayLibrary  = "Go ReverseProxy"
	wayNginx    = "nginx"
	wayHAProxy  = "HAProxy"
	wayCaddy    = "Caddy"
)

// way is a process that passes requests on to the replica.
type way struct {
	site
	cmd     *exec.Cmd
	results map[string]*result // by kind
}

// result is what one kind of request has cost on one way.
type result struct {
	cpu  series    // of the process, for a request, by round
	rate []float64 // requests a second, as many as possible, by round
	busy series    // how long each request took then
	half series    // at half of that rate
}

// startWays starts a process for each way that this machine has, with that many hosts.
func startWays(ctx context.Context, dir, replica string, hosts int, log bool) (ways []*way, err error) {
	defer func() {
		if err != nil {
			stopWays(ways)
		}
	}()
	names := []string{wayNginx, wayOwn, wayStandard, wayHAProxy, wayCaddy, wayLibrary}
	if log {
		names = []string{wayNginx, wayOwn}
	}
	for _, name := range names {
		w := &way{results: map[string]*result{}, site: site{Way: name, Replica: replica, Log: log,
			Dir:  filepath.Join(dir, fmt.Sprintf("%s-%d-%v", name, hosts, log)),
			Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}}
		for i := range hosts {
			w.Hosts = append(w.Hosts, fmt.Sprintf("s%d.shop.test", i))
		}
		there, err := w.start(ctx)
		if there {
			ways = append(ways, w)
		}
		if err != nil {
			return ways, fmt.Errorf("%s: %w", name, err)
		}
	}
	return ways, nil
}

func stopWays(ways []*way) {
	for _, w := range ways {
		_ = w.cmd.Process.Signal(syscall.SIGTERM)
		_ = w.cmd.Wait()
	}
}

// start starts the process. It returns false if this machine doesn't have the program.
func (w *way) start(ctx context.Context) (there bool, err error) {
	if err := os.MkdirAll(w.Dir, 0o755); err != nil {
		return false, err
	}
	for _, addr := range []*string{&w.HTTP, &w.TLS, &w.TCP} {
		if *addr, err = unused(); err != nil {
			return false, err
		}
	}
	if w.cmd, err = w.command(); w.cmd == nil || err != nil {
		return false, err
	}
	log, err := os.Create(filepath.Join(w.Dir, "output"))
	if err != nil {
		return false, err
	}
	defer log.Close()
	w.cmd.Stdout, w.cmd.Stderr = log, log
	if err := w.cmd.Start(); err != nil {
		return false, err
	}
	if err := errors.Join(answers(ctx, w.HTTP), answers(ctx, w.TLS)); err != nil {
		said, _ := os.ReadFile(log.Name()) // what it said, if anything
		return true, fmt.Errorf("%w: %s", err, said)
	}
	return true, nil
}

// command returns the command of the way; nil: this machine doesn't have the program.
func (w *way) command() (*exec.Cmd, error) {
	conf, program := w.caddy, "caddy"
	switch w.Way {
	case wayNginx:
		conf, program = w.nginx, "nginx"
	case wayHAProxy:
		conf, program = w.haproxy, "haproxy"
	case wayCaddy:
	default:
		arg, err := json.Marshal(w.site)
		cmd := exec.Command("/proc/self/exe", "-part", partThrough, string(arg))
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
		return cmd, err
	}
	for _, path := range []string{program, "/usr/sbin/" + program} {
		if binary, err := exec.LookPath(path); err == nil {
			return conf(binary)
		}
	}
	fmt.Printf("%s isn't installed: scripts/bench-tools installs it\n", w.Way)
	return nil, nil
}

// unused returns an address that is free now.
func unused() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// makeCertificate writes a certificate for all hosts into the folder.
func makeCertificate(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"*.shop.test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der},
		"key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// serveCanned answers each request with the same bytes.
func serveCanned(l net.Listener) {
	small := fmt.Appendf(nil, answer, 5, "")
	big := fmt.Appendf(nil, answer, large, strings.Repeat("x", large-5))
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { // ends with its connection
			defer c.Close()
			buf := make([]byte, 8<<10)
			for {
				n, err := c.Read(buf)
				if err != nil {
					return
				}
				back := small
				if bytes.HasPrefix(buf[:n], []byte("GET /large")) {
					back = big
				}
				if _, err := c.Write(back); err != nil {
					return
				}
			}
		}()
	}
}

// cpuTime returns the time that the threads of a process have spent on CPUs.
func cpuTime(pid int) (time.Duration, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		return 0, fmt.Errorf("process %d has no threads: %w", pid, errors.Join(err, io.EOF))
	}
	var sum time.Duration
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.Fields(string(b) + " 0")[0], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(n)
	}
	return sum, nil
}
