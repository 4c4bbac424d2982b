package doctor

import (
	"fmt"
	"time"

	"rhumb"
)

// certificatesCheck reports certificates that are missing, expired, or about to expire because they can't be renewed.
func certificatesCheck(f Facts) []Finding {
	const check = "certificates"
	if found, yes := unseen(f, check); yes {
		return found
	}
	list := f.Server.Routes.Certificates
	if len(list) == 0 {
		return nil
	}
	var found []Finding
	for _, c := range list {
		if bad, is := certificateFinding(c, f.At); is {
			found = append(found, bad)
		}
	}
	if len(found) == 0 {
		found = []Finding{{check, OK, fmt.Sprintf("%d, all good", len(list)), ""}}
	}
	return found
}

func certificateFinding(c rhumb.CertificateStatus, now time.Time) (Finding, bool) {
	hint := "rhumb retries automatically; rhumb certs shows when"
	switch {
	case c.Source == rhumb.CertGiven:
		hint = "replace the files by renewed ones and deploy " + c.Stack + " again"
	case c.Source == rhumb.CertACME:
		hint = "the authority must reach " + c.Host + " at ports 80 or 443 of this server; rhumb certs shows when it is " +
			"tried again"
	}
	why := ""
	if c.Error != "" {
		why = ": " + c.Error
	}
	life := c.NotAfter.Sub(c.NotBefore)
	switch {
	case c.Issuer == "" && c.Error == "":
		return Finding{"certificates", Warning, c.Host + ": it is being obtained", "look again in a minute: rhumb certs"},
			true
	case c.Issuer == "":
		return Finding{"certificates", Problem, c.Host + " has none" + why, hint}, true
	case now.After(c.NotAfter):
		return Finding{"certificates", Problem, c.Host + " has one that expired on " + c.NotAfter.Format(time.DateOnly) + why,
			hint}, true
	case c.Error != "", c.NotAfter.Sub(now) < life/6: // it should have been renewed with a third left
		return Finding{"certificates", Warning, c.Host + " has one that expires on " + c.NotAfter.Format(time.DateOnly) + why,
			hint}, true
	}
	return Finding{}, false
}
