package web

import (
	"net/http"

	"rhumb/proxy/internal/bans"
	"rhumb/proxy/internal/http1"
	"rhumb/proxy/internal/page"
)

// refuses refuses the request of a banned client, and reports whether it has. a is nil if the request isn't logged.
func refuses(s *Server, w http.ResponseWriter, r *http.Request, a *access) bool {
	if !s.deps.Bans.Any() {
		return false
	}
	reference, banned := s.deps.Bans.Refuses(s.clientOf(r, addrPortOf(r.RemoteAddr).Addr()))
	if !banned {
		return false
	}
	if a != nil {
		a.banned = true
		a.noteError(bannedError + reference)
	}
	if r.ProtoMajor == 2 {
		page.RefuseBanned(w, reference)
	} else {
		page.Banned(reference).Write(w, r)
	}
	return true
}

// bannedError is before the reference in the access log.
const bannedError = "the client is banned: "

// banning is an exchange as the book of bans sees it.
type banning struct{ *exchange }

// refuses refuses the request of a banned client, and reports whether it has.
func (x banning) refuses() bool {
	if !x.c.server.deps.Bans.Any() {
		return false
	}
	reference, banned := x.c.server.deps.Bans.Refuses(outgoing{x.c}.client())
	if banned {
		x.banned = true
		x.noteError(bannedError + reference)
		reply{x.exchange}.page(page.Banned(reference))
	}
	return banned
}

// count counts the request.
func (x banning) count() {
	b := x.c.server.deps.Bans
	if x.banned || !b.Counts(x.backend) {
		return
	}
	status := x.status
	if status == 0 {
		status = statusLeft
	}
	r := &x.c.request
	b.Note(x.backend, bans.Request{Client: outgoing{x.c}.client(), Method: r.Method, Path: x.path, Status: status,
		Browser: http1.First(r.Fields, http1.UserAgent), Language: gate{x.exchange}.Header("Accept-Language")})
}
