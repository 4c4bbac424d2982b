package observed

import (
	"net/http"
	"net/netip"

	"rhumb/web"
)

// localOnly refuses requests to host names other than localhost, if the address is a loopback one. A page in a browser
// of this machine could otherwise read the answers: its own name only has to lead here (DNS rebinding).
func localOnly(addr string, next http.Handler) http.Handler {
	at, err := netip.ParseAddrPort(addr)
	if err != nil || !at.Addr().IsLoopback() {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if web.IsLocal(r.Host) {
			next.ServeHTTP(w, r)
			return
		}
		const words = "rhumb: this address answers requests to localhost or to an IP address; " +
			"a proxy in front of it must set the header Host to localhost"
		http.Error(w, words, http.StatusForbidden)
	})
}
