package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// slots writes and reads the cookies by which clients stay with a slot of a backend. A slot has a replica in each
// release, so that the cookie is good beyond a deployment. It is signed: a client can't choose a replica to overload.
type slots struct{ key func() []byte }

// read returns the slot in the cookies of a request; 0 if there is none, or it isn't signed by this server.
func (s slots) read(backend, cookies string) int {
	if s.key == nil || cookies == "" {
		return 0
	}
	name := cookieName(backend)
	for pair := range strings.SplitSeq(cookies, ";") {
		k, v, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if !ok || k != name {
			continue
		}
		text, sign, _ := strings.Cut(v, ".")
		slot, err := strconv.Atoi(text)
		if err == nil && slot > 0 && hmac.Equal([]byte(sign), []byte(s.sign(backend, text))) {
			return slot
		}
	}
	return 0
}

// write returns the value of Set-Cookie for a slot. The cookie ends with the browser's session.
func (s slots) write(backend string, slot int, secure bool) string {
	text := strconv.Itoa(slot)
	c := cookieName(backend) + "=" + text + "." + s.sign(backend, text) + "; Path=/; HttpOnly; SameSite=Lax"
	if secure {
		c += "; Secure"
	}
	return c
}

func (s slots) sign(backend, slot string) string {
	h := hmac.New(sha256.New, s.key())
	h.Write([]byte(backend + "\x00" + slot))
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:16])
}

// cookieName returns the name of a backend's cookie: several backends may share a host.
func cookieName(backend string) string {
	sum := sha256.Sum256([]byte(backend))
	return "rhumb-slot-" + hex.EncodeToString(sum[:4])
}
