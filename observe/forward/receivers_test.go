package forward_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"rhumb"
	"rhumb/observe/forward"
)

// The tests of this file send numbered lines to receivers that are programs of other projects, which stop for a while
// in between.

// away returns how long a receiver is stopped.
func away() time.Duration {
	if os.Getenv("RHUMB_TEST_LONG") == "1" {
		return time.Minute
	}
	return 3 * time.Second
}

// missing skips a test whose receiver isn't there, or fails it where it must run.
func missing(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// program is a receiver that can be stopped and started again.
type program struct {
	args  []string
	ready string // an address that it listens on
	cmd   *exec.Cmd
	out   bytes.Buffer
}

func (p *program) start(t *testing.T) {
	t.Helper()
	p.cmd = exec.Command(p.args[0], p.args[1:]...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		conn, err := net.Dial("tcp", p.ready)
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s doesn't listen on %s: %s", p.args[0], p.ready, p.out.String())
		}
	}
}

// stop ends the program as an operator does.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(2*time.Minute, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	_ = p.cmd.Wait() // rsyslogd and victoria-logs end with different statuses
	p.cmd = nil
}

func run(t *testing.T, ready string, args ...string) *program {
	t.Helper()
	p := &program{args: args, ready: ready}
	p.start(t)
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			out := p.out.String()
			t.Logf("%s: %s", args[0], out[max(0, len(out)-4000):])
		}
	})
	return p
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// forwarder is a Forwarder that runs.
type forwarder struct {
	*forward.Forwarder
	sent int
}

func forwarding(t *testing.T, urls ...string) *forwarder {
	t.Helper()
	f, err := forward.New(forward.Options{
		Dir: t.TempDir(), URLs: urls, Host: "testhost", Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return &forwarder{Forwarder: f}
}

// lines appends numbered lines of two services for a time, twenty each 10 ms.
func (f *forwarder) lines(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var all []rhumb.LogLine
		for range 20 {
			service := []string{"web", "api"}[f.sent%2]
			all = append(all, rhumb.LogLine{
				Time: time.Now(), Stack: "shop", Service: service, Replica: "shop-" + service + ".7.1", Stderr: f.sent%3 == 0,
				Text: fmt.Sprintf("number=%d \"quoted\" ]äöü", f.sent), Release: 7, Level: rhumb.LevelWarn,
				Container: "c0ffee", Fields: map[string]string{"number": strconv.Itoa(f.sent)},
			})
			f.sent++
		}
		f.Append(all)
	}
}

// settle waits until every destination has sent everything.
func (f *forwarder) settle(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		all := f.Status()
		done := true
		for _, s := range all {
			done = done && s.Sent+s.Lost >= int64(f.sent)
		}
		switch {
		case done:
			for _, s := range all {
				if s.Lost != 0 || s.Sent != int64(f.sent) || s.WaitingLines != 0 || s.WaitingBytes != 0 ||
					!s.FailingSince.IsZero() {
					t.Errorf("at the end: %+v, want %d sent and none lost", s, f.sent)
				}
			}
			return
		case time.Now().After(deadline):
			t.Fatalf("%d lines were appended: %+v", f.sent, all)
		}
	}
}

// interrupted sends lines before, while and after the receiver is stopped.
func interrupted(t *testing.T, f *forwarder, stop, start func(*testing.T)) {
	t.Helper()
	f.lines(2 * time.Second)
	stop(t)
	f.lines(away())
	for _, s := range f.Status() {
		if s.FailingSince.IsZero() || s.LastError == "" || s.WaitingLines == 0 {
			t.Errorf("while the receiver is stopped: %+v", s)
		}
	}
	start(t)
	f.lines(2 * time.Second)
	f.settle(t)
}

// check reports numbers that are missing, and if once is true those that came twice.
func check(t *testing.T, what string, counts map[int]int, sent int, once bool) {
	t.Helper()
	lost, twice := 0, 0
	for n := range sent {
		switch c := counts[n]; {
		case c == 0:
			lost++
		case c > 1:
			twice++
		}
	}
	t.Logf("%s: %d lines sent, %d arrived more than once", what, sent, twice)
	if lost > 0 || len(counts) != sent {
		t.Errorf("%s: %d of %d lines are missing, %d have arrived", what, lost, sent, len(counts))
	}
	if once && twice > 0 {
		t.Errorf("%s: %d lines arrived more than once", what, twice)
	}
}

// certificate writes a certificate for 127.0.0.1 and its key, and returns their files.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "logs"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}
