package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rhumb"
)

// sessionLife is how long a browser stays let in.
const sessionLife = 30 * 24 * time.Hour

// gate decides which browsers may see the dashboard: those that have shown its key. It remembers nothing; a session is
// valid by its signature, so it outlives the process, and ends when the key changes.
type gate struct {
	key   []byte
	hosts []string
	now   func() time.Time
}

// gated lets browsers with a session pass, makes a session for the key, and shows all others how to get in.
func (s *server) gated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		foreign := fromElsewhere(r)
		if foreign && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			http.Error(w, "rhumb: a page of another origin can't use the dashboard", http.StatusForbidden)
			return
		}
		if q := r.URL.Query(); r.Method == http.MethodGet && q.Has("key") {
			if !s.gate.opens(q.Get("key")) {
				s.render(w, r, closedPage, view{Title: "Closed", Status: http.StatusForbidden, Page: true})
				return
			}
			http.SetCookie(w, s.gate.newCookie(r.TLS != nil))
			q.Del("key")
			http.Redirect(w, r, addressOf(r.URL.Path, q), http.StatusSeeOther)
			return
		}
		c, err := r.Cookie(s.gate.cookieName())
		if err != nil || !s.gate.valid(c.Value) {
			if foreign && r.Method == http.MethodGet {
				// The browser keeps the cookie back when a link of another site is followed. It sends it when this page
				// itself goes on.
				w.Header().Set("Refresh", "0; url="+addressOf(r.URL.Path, r.URL.Query()))
			}
			s.render(w, r, closedPage, view{Title: "Closed", Status: http.StatusUnauthorized, Page: false})
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, c.Value)))
	})
}

// fromElsewhere reports whether a page of another origin made the browser send a request, as far as the browser says.
func fromElsewhere(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "cross-site" || site == "same-site"
}

// addressOf returns an address on this server.
func addressOf(path string, q url.Values) string {
	u := url.URL{Path: path, RawQuery: q.Encode()}
	return "/" + strings.TrimLeft(u.String(), "/")
}

type sessionKey struct{}

// sessionOf returns the session of a request that has passed the gate.
func sessionOf(r *http.Request) string {
	session, _ := r.Context().Value(sessionKey{}).(string)
	return session
}

// opens reports whether a key is the right one.
func (g *gate) opens(key string) bool {
	a, b := sha256.Sum256([]byte(key)), sha256.Sum256(g.key)
	return len(g.key) > 0 && subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// cookieName returns the name of the session's cookie. Browsers send cookies to all ports of a host, so the dashboards
// of several servers, each in a tunnel of its own, need different names.
func (g *gate) cookieName() string { return "rhumb_" + g.sign("cookie")[:10] }

func (g *gate) newCookie(secure bool) *http.Cookie {
	until := strconv.FormatInt(g.now().Add(sessionLife).Unix(), 36)
	nonce := rand.Text()
	return &http.Cookie{
		Name: g.cookieName(), Value: nonce + "." + until + "." + g.sign("session", nonce, until), Path: "/",
		MaxAge: int(sessionLife.Seconds()), HttpOnly: true, Secure: secure, SameSite: http.SameSiteStrictMode,
	}
}

// valid reports whether a session is one that this gate has made, and hasn't ended.
func (g *gate) valid(session string) bool {
	parts := strings.Split(session, ".")
	if len(parts) != 3 || len(g.key) == 0 || !same(parts[2], g.sign("session", parts[0], parts[1])) {
		return false
	}
	until, err := strconv.ParseInt(parts[1], 36, 64)
	return err == nil && g.now().Unix() < until
}

// token returns what each form of a session must contain. Pages of other origins can't know it.
func (g *gate) token(session string) string { return g.sign("form", session) }

// sign returns a keyed hash of the parts.
func (g *gate) sign(parts ...string) string {
	h := hmac.New(sha256.New, g.key)
	for _, p := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(p))))
		h.Write([]byte(p))
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// knows reports whether the dashboard may be reached under a Host. A page of another site whose name comes to mean this
// machine sends that name; it can't send an address.
func (g *gate) knows(host string) bool {
	return IsLocal(host) ||
		slices.ContainsFunc(g.hosts, func(h string) bool { return strings.EqualFold(h, nameIn(host)) })
}

// IsLocal reports whether a header Host is an IP address or localhost, which no page of another site can send.
func IsLocal(host string) bool {
	name := nameIn(host)
	_, err := netip.ParseAddr(name)
	return err == nil || name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// nameIn returns the name in a header Host, in lower case and without the port.
func nameIn(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
}

// permit returns Denied unless a form was sent by a page of the dashboard, of the same session.
func (g *gate) permit(r *http.Request) error {
	refused := rhumb.Errorf(rhumb.Denied, "the form wasn't sent by a page of this dashboard").
		WithHint("open the page again, and send its form from there")
	from, err := url.Parse(r.Header.Get("Origin"))
	if err != nil || from.Host == "" || !strings.EqualFold(from.Host, r.Host) {
		return refused
	}
	if !same(r.PostFormValue("token"), g.token(sessionOf(r))) {
		return refused
	}
	return nil
}
