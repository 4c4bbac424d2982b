package web

import (
	"net/http"
	"time"
)

// What a client can make the dashboard spend.
const (
	maxQuery   = 8 << 10  // bytes of an address's parameters
	maxForm    = 64 << 10 // bytes of a form
	maxStreams = 64       // live streams at a time
	maxRenders = 16       // pages that are made at a time

	pageTime    = 15 * time.Second // to make and send a page
	answerTime  = 6 * time.Second  // for one answer that a page needs; less than pageTime
	changeTime  = 30 * time.Second // for a change, which may wait for the daemon
	writeTime   = 10 * time.Second // for a client to take a message of a stream
	streamLimit = 15 * time.Minute // of a stream; browsers come back by themselves
)

// policy is what a page may do: show and ask what is here, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; frame-ancestors 'none'; base-uri 'none'"

// guarded sets the headers that every answer has, and refuses requests that are too large or for another host.
func (s *server) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		// With no-referrer, browsers send "Origin: null" with a form, and the check of the origin would refuse it.
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		switch {
		case !s.gate.knows(r.Host):
			http.Error(w, "rhumb: the dashboard isn't known by this host name; open it by its address, or start the "+
				"server with --dashboard-host and this name", http.StatusMisdirectedRequest)
			return
		case len(r.URL.RawQuery) > maxQuery:
			http.Error(w, "rhumb: the address is too long", http.StatusRequestURITooLong)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		c := http.NewResponseController(w)
		// An http.Server without deadlines, as in tests, refuses these; the others obey.
		_ = c.SetReadDeadline(time.Now().Add(changeTime))
		_ = c.SetWriteDeadline(time.Now().Add(changeTime + pageTime))
		next.ServeHTTP(w, r)
	})
}
