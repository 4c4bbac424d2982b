package chain

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"

	"rhumb/internal/htpasswd"
)

// outcome is what comes of a request with or without a password.
type outcome int

const (
	refused outcome = iota
	passed
	crowded // too many passwords are being checked
)

// Bounds of what a gate remembers.
const (
	maxKnown       = 1024 // passwords that were right
	maxWrong       = 256  // those that weren't: a program that is set up wrong asks again and again
	maxCredentials = 1024 // bytes of name and password
)

// gate lets in the users of a file. A check takes up to a second of one core, by design, so it is done once for each
// pair of name and password, at most a few at a time.
type gate struct {
	users     *htpasswd.Users
	challenge string
	checks    *checks
	key       [32]byte // what is remembered is keyed, so that memory holds no password

	mu    sync.Mutex
	known map[pair]bool
	wrong map[pair]bool
	now   map[pair]*check // under way
}

// pair is a keyed hash of a name and a password.
type pair [sha256.Size]byte

// check is one that is under way. Others with the same pair wait for it: a browser asks for many things at once.
type check struct {
	done chan struct{}
	out  outcome
}

func newGate(u *htpasswd.Users, realm string, c *checks) *gate {
	g := &gate{users: u, challenge: `Basic realm="` + realm + `", charset="UTF-8"`, checks: c,
		known: map[pair]bool{}, wrong: map[pair]bool{}, now: map[pair]*check{}}
	_, _ = rand.Read(g.key[:]) // never fails
	return g
}

// enter checks the credentials of a request.
func (g *gate) enter(client netip.Addr, authorization string) (user string, out outcome) {
	name, password, ok := credentials(authorization)
	if !ok {
		return "", refused
	}
	if out = g.verdict(client, name, password); out == passed {
		user = name
	}
	return user, out
}

// credentials reads a field Authorization.
func credentials(field string) (name, password string, ok bool) {
	scheme, text, ok := strings.Cut(field, " ")
	if !ok || !strings.EqualFold(scheme, "basic") || len(text) > 2*maxCredentials {
		return "", "", false
	}
	b, err := base64.StdEncoding.Strict().DecodeString(strings.Trim(text, " "))
	if err != nil || len(b) > maxCredentials {
		return "", "", false
	}
	return strings.Cut(string(b), ":")
}

func (g *gate) verdict(client netip.Addr, name, password string) outcome {
	p := g.pair(name, password)
	g.mu.Lock()
	switch c := g.now[p]; {
	case g.known[p]:
		g.mu.Unlock()
		return passed
	case g.wrong[p]:
		g.mu.Unlock()
		return refused
	case c != nil:
		g.mu.Unlock()
		<-c.done
		return c.out
	}
	c := &check{done: make(chan struct{}), out: crowded}
	g.now[p] = c
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.now, p)
		g.remember(p, c.out)
		close(c.done)
	}()
	if g.checks.enter(client) {
		defer g.checks.leave(client)
		c.out = refused
		if g.users.Check(name, password) {
			c.out = passed
		}
	}
	return c.out
}

// remember keeps an outcome, in place of any other if there are many. The caller holds mu.
func (g *gate) remember(p pair, out outcome) {
	m, most := g.known, maxKnown
	switch out {
	case crowded:
		return
	case refused:
		m, most = g.wrong, maxWrong
	}
	for other := range m {
		if len(m) < most {
			break
		}
		delete(m, other)
	}
	m[p] = true
}

func (g *gate) pair(name, password string) (p pair) {
	h := hmac.New(sha256.New, g.key[:])
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(name)))
	h.Write(size[:])
	h.Write([]byte(name))
	h.Write([]byte(password))
	h.Sum(p[:0])
	return p
}
