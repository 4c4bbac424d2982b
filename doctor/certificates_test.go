package doctor

import (
	"strings"
	"testing"
	"time"

	"rhumb"
)

func TestCertificatesAreLookedAt(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	day := 24 * time.Hour
	good := rhumb.CertificateStatus{Host: "a.example", Source: rhumb.CertACME, Stack: "shop", Issuer: "X",
		NotBefore: now.Add(-day), NotAfter: now.Add(80 * day)}
	for _, c := range []struct {
		name  string
		spoil func(*rhumb.CertificateStatus)
		level Level
		text  string
		hint  string
	}{
		{"good", func(*rhumb.CertificateStatus) {}, OK, "1, all good", ""},
		{"on its way", func(c *rhumb.CertificateStatus) { c.Issuer = "" }, Warning, "being obtained", "rhumb certs"},
		{"none", func(c *rhumb.CertificateStatus) { c.Issuer, c.Error = "", "refused" }, Problem,
			"a.example has none: refused", "ports 80 or 443"},
		{"expired", func(c *rhumb.CertificateStatus) { c.NotAfter = now.Add(-day) }, Problem, "expired on", "tried again"},
		{"not renewed", func(c *rhumb.CertificateStatus) { c.NotBefore, c.NotAfter = now.Add(-85*day), now.Add(5*day) },
			Warning, "expires on", "tried again"},
		{"failing", func(c *rhumb.CertificateStatus) { c.Error = "away" }, Warning, "expires on", "tried again"},
		{"given", func(c *rhumb.CertificateStatus) { c.Source, c.NotAfter = rhumb.CertGiven, now.Add(-day) }, Problem,
			"expired", "deploy shop again"},
	} {
		st := good
		c.spoil(&st)
		found := certificatesCheck(Facts{At: now,
			Server: Server{Routes: rhumb.RouterStatus{Certificates: []rhumb.CertificateStatus{st}}}})
		if len(found) != 1 || found[0].Level != c.level || !strings.Contains(found[0].Text, c.text) ||
			!strings.Contains(found[0].Hint, c.hint) {
			t.Errorf("%s: got %+v", c.name, found)
		}
	}
	if found := certificatesCheck(Facts{}); found != nil {
		t.Errorf("without any: %+v", found)
	}
}
