package web

import (
	"net/http"
	"time"

	"rhumb"
)

// certificateRow is what the page of certificates shows of one.
type certificateRow struct {
	rhumb.CertificateStatus
	Standing standing
}

// certificatesView is the data of the page of certificates.
type certificatesView struct {
	Rows []certificateRow
	Err  error // the proxy's, if it answers with one
	Bad  int   // how many need a look
}

// certificatesPage shows the certificates of all hosts.
func certificatesPage(s *server, r *http.Request) (view, error) {
	as := &answers{ctx: r.Context()}
	certs := ask(as, s.Traffic.Certificates)
	as.wait()
	v := certificatesView{Err: certs.Err}
	out := view{Title: "Certificates", Live: liveAt("", time.Minute)}
	if away(certs.Err) {
		out.Away, v.Err = certs.Err, nil
	}
	for _, c := range certs.Is {
		row := certificateRow{c, standingOfCertificate(c, s.now())}
		if row.Standing.Tone == "bad" || row.Standing.Tone == "warn" {
			v.Bad++
		}
		v.Rows = append(v.Rows, row)
	}
	out.Page = v
	return out, nil
}

// soon is when the end of a certificate becomes worth a word.
const soon = 14 * 24 * time.Hour

// standingOfCertificate returns how a host's certificate stands.
func standingOfCertificate(c rhumb.CertificateStatus, now time.Time) standing {
	left := c.NotAfter.Sub(now)
	switch {
	case c.Issuer == "" && c.Error != "":
		return standing{Word: "can't be had", Tone: "bad"}
	case c.Issuer == "":
		return standing{Word: "is being made", Tone: "run"}
	case left <= 0:
		return standing{Word: "expired", Tone: "bad"}
	case now.Before(c.NotBefore):
		return standing{Word: "not valid yet", Tone: "bad"}
	case c.Error != "":
		return standing{Word: "renewal fails", Tone: "warn"}
	case left < soon && c.Source == rhumb.CertGiven:
		return standing{Word: "ends soon", Tone: "warn"}
	}
	return standing{Word: "valid", Tone: "ok"}
}
