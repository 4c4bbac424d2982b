package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// canary is a value that must not be seen anywhere but where it belongs.
type canary struct {
	what    string // which secret it is
	text    string
	env     bool     // a container's environment may have it: it is a variable
	own     string   // the name of the file that may have it; "": none
	needles [][]byte // the text, plain and in other clothes
}

// aviary knows all canaries of a test.
type aviary struct {
	t   *testing.T
	all []*canary
}

// canary creates a canary and returns its text.
func (a *aviary) canary(what string) string { return a.add(&canary{what: what}) }

// variable makes one that may stand in a container's environment.
func (a *aviary) variable(what string) string { return a.add(&canary{what: what, env: true}) }

func (a *aviary) add(c *canary) string {
	c.text = "canary" + rand.Text() // letters and digits: it looks the same in JSON, YAML, URLs and quotes
	b := []byte(c.text)
	c.needles = append(faces(b), b, []byte(hex.EncodeToString(b)), bytes.ToLower(b))
	a.all = append(a.all, c)
	return c.text
}

// key makes one of the secret number of a private key, which is seen in DER, in PEM, and in JSON of PEM too.
func (a *aviary) key(what string, number []byte) {
	half := number[len(number)/2:] // no line of PEM ends in it, for keys of P-256
	c := &canary{what: what, needles: [][]byte{half, []byte(hex.EncodeToString(half))}}
	for _, face := range faces(half) {
		c.needles = append(append(c.needles, face), faces(face)...)
	}
	a.all = append(a.all, c)
}

// faces returns the three forms that bytes have in base64, without the characters that depend on their neighbours.
func faces(b []byte) [][]byte {
	var all [][]byte
	for shift := range 3 {
		padded := append(make([]byte, shift), b...)
		whole := base64.StdEncoding.EncodeToString(padded[:len(padded)/3*3])
		all = append(all, []byte(whole[(shift*8+5)/6:]))
	}
	return all
}

// in lists the canaries that b contains.
func (a *aviary) in(b []byte) []string {
	var found []string
	for _, c := range a.all {
		if c.in(b) {
			found = append(found, c.what)
		}
	}
	return found
}

func (c *canary) in(b []byte) bool {
	for _, n := range c.needles {
		if bytes.Contains(b, n) {
			return true
		}
	}
	return false
}

// none fails the test for each canary in b.
func (a *aviary) none(where string, b []byte) {
	a.t.Helper()
	for _, what := range a.in(b) {
		a.t.Errorf("%s: it shows %s", where, what)
	}
}

// variables is none, but for a container's environment.
func (a *aviary) variables(where string, b []byte) {
	a.t.Helper()
	for _, c := range a.all {
		if !c.env && c.in(b) {
			a.t.Errorf("%s: it shows %s", where, c.what)
		}
	}
}

// folder searches the names and contents of all files under a folder that changed since a time. It returns their
// number.
func (a *aviary) folder(dir string, since time.Time) int {
	a.t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // temporary files come and go
		}
		if err != nil {
			return err
		}
		a.none("the name of "+path, []byte(path))
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.ModTime().Before(since) {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		files++
		for _, c := range a.all {
			if c.in(b) && c.own != filepath.Base(path) {
				a.t.Errorf("%s: it shows %s", path, c.what)
			}
		}
		return nil
	})
	if err != nil {
		a.t.Errorf("look through %s: %v", dir, err)
	}
	return files
}

// wiretap is a socket in front of a server's. It records what clients send.
type wiretap struct {
	path string
	ln   net.Listener
	to   string

	mu   sync.Mutex
	sent bytes.Buffer
	open sync.WaitGroup
}

// tap listens in on a server until the test ends.
func tap(t *testing.T, s *server) *wiretap {
	t.Helper()
	w := &wiretap{path: filepath.Join(filepath.Dir(s.socket), "tap.sock"), to: s.socket}
	var err error
	if w.ln, err = net.Listen("unix", w.path); err != nil {
		t.Fatal(err)
	}
	w.open.Go(w.accept)
	t.Cleanup(func() {
		_ = w.ln.Close()
		w.open.Wait()
	})
	return w
}

func (w *wiretap) accept() {
	for {
		client, err := w.ln.Accept()
		if err != nil {
			return
		}
		w.open.Go(func() { w.forward(client) })
	}
}

// forward joins a client with the server until either has ended.
func (w *wiretap) forward(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("unix", w.to)
	if err != nil {
		return
	}
	defer server.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(client, server)
		_ = client.Close() // ends the reading below
	})
	_, _ = io.Copy(server, io.TeeReader(client, w))
	_ = server.(*net.UnixConn).CloseWrite()
	back.Wait()
}

// Write keeps what a client sends.
func (w *wiretap) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.Write(b)
}

// seen returns everything that was sent so far.
func (w *wiretap) seen() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.sent.Bytes())
}

// kept lists the contents under the folder of configs and secrets, by path.
func kept(t *testing.T) map[string]string {
	t.Helper()
	paths, err := filepath.Glob("/run/rhumb/files/*/content")
	if err != nil {
		t.Fatal(err)
	}
	contents := map[string]string{}
	for _, path := range paths {
		if b, err := os.ReadFile(path); err == nil { // other stacks' come and go
			contents[path] = strings.TrimSpace(string(b))
		}
	}
	return contents
}

func TestACanaryIsSeenInEveryDress(t *testing.T) {
	a := &aviary{t: t}
	text := a.canary("it")
	for name, s := range map[string]string{
		"plain": "x=" + text + "\n", "hex": hex.EncodeToString([]byte("x" + text)), "lower case": strings.ToLower(text),
		"base64":                base64.StdEncoding.EncodeToString([]byte(text)),
		"base64 after a letter": base64.StdEncoding.EncodeToString([]byte("x" + text + "y")),
		"base64 after two":      base64.RawURLEncoding.EncodeToString([]byte("xy" + text + "y")),
	} {
		if a.in([]byte(s)) == nil {
			t.Errorf("%s: %q is not seen in %q", name, text, s)
		}
	}
	if found := a.in([]byte("canary" + rand.Text())); found != nil {
		t.Errorf("another one is taken for %v", found)
	}
}

func TestAPrivateKeyIsSeenInEveryDress(t *testing.T) {
	a := &aviary{t: t}
	cert, key := givenPair(t, "shop.example.com")
	a.key("it", numberOf(t, key))
	block, _ := pem.Decode(key)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	short, err := x509.MarshalECPrivateKey(parsed.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	dresses := map[string][]byte{"PEM": key, "DER": block.Bytes,
		"short PEM": pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: short})}
	for _, before := range []string{"", "x", "xy"} {
		b, err := json.Marshal(append([]byte(before), key...))
		if err != nil {
			t.Fatal(err)
		}
		dresses["JSON of PEM after "+before] = b
	}
	for name, b := range dresses {
		if a.in(b) == nil {
			t.Errorf("%s: the key is not seen", name)
		}
	}
	if a.in(cert) != nil {
		t.Error("the certificate is taken for its key")
	}
}
