package convert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"rhumb"
	"rhumb/compose/internal/diskfile"
	"rhumb/compose/internal/extension"
	"rhumb/compose/internal/keys"
)

const maxCertificate = 256 << 10 // bytes of a certificate or key file

// certified sets the certificates of the services' hosts, and refuses contradictions.
func (c *converter) certified(services []rhumb.Service) {
	held := map[string]string{} // by host: the service that sets its TLS
	for i := range services {
		s := &services[i]
		w := c.extras[s.Name].TLS
		path := "services." + s.Name + "." + keys.Extension + ".tls"
		hosts := hostsOf(s)
		if w == nil {
			c.noteWildcards(s)
			continue
		}
		s.TLS = w.TLS
		if len(hosts) == 0 {
			c.bad.At(path, "add routes with a host, or leave tls out", "no route of the service has a host name")
			continue
		}
		if w.Source == rhumb.CertGiven {
			s.TLS.Given = c.pair(path, w, hosts)
		}
		for _, h := range hosts {
			other := named(services, held[h])
			switch {
			case w.Source == rhumb.CertACME && strings.HasPrefix(h, "*."):
				c.bad.At(path, "set cert and key, or write internal",
					"%s can't have a certificate over ACME: authorities give those for wildcards only by way of the DNS", h)
			case w.Source == rhumb.CertACME && !rhumb.PublicHost(h):
				c.bad.At(path, "write internal, or set cert and key",
					"%s can't have a certificate over ACME: it isn't a public name", h)
			case other != nil && !sameTLS(other.TLS, s.TLS):
				c.bad.At(path, "use the same settings for both, or set them once", "%s has other TLS settings for %s", other.Name,
					h)
			}
			held[h] = s.Name
		}
	}
}

func named(services []rhumb.Service, name string) *rhumb.Service {
	i := slices.IndexFunc(services, func(s rhumb.Service) bool { return s.Name == name })
	if name == "" || i < 0 {
		return nil
	}
	return &services[i]
}

// sameTLS reports whether two services have the same TLS settings.
func sameTLS(a, b rhumb.TLS) bool {
	plain := func(p *bool) bool { return p != nil && *p }
	return a.Source == b.Source && a.Given == b.Given && a.HSTS == b.HSTS && plain(a.Plain) == plain(b.Plain)
}

func hostsOf(s *rhumb.Service) []string {
	hosts := map[string]bool{}
	for _, r := range s.Routes {
		if r.Host != "" {
			hosts[r.Host] = true
		}
	}
	return slices.Sorted(maps.Keys(hosts))
}

// noteWildcards adds notes about wildcard hosts: without TLS options they get no certificate.
func (c *converter) noteWildcards(s *rhumb.Service) {
	for i, r := range s.Routes {
		if strings.HasPrefix(r.Host, "*.") {
			c.note(fmt.Sprintf("services.%s.%s.routes[%d]", s.Name, keys.Extension, i), rhumb.Emulated,
				"a wildcard is served over HTTP only, unless x-rhumb.tls is internal or has files")
		}
	}
}

// pair reads a certificate and its key, checks that they are valid for the hosts, and returns the hash that
// identifies them in the stack.
func (c *converter) pair(path string, w *extension.TLS, hosts []string) string {
	cert, ok := c.pem(path+".cert", w.Cert)
	key, ok2 := c.pem(path+".key", w.Key)
	if !ok || !ok2 {
		return ""
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		c.bad.At(path, "cert is the certificate with its chain, key the private key that belongs to it, both in PEM",
			"the pair can't be used: %s", strings.TrimPrefix(err.Error(), "tls: "))
		return ""
	}
	leaf := pair.Leaf
	if leaf == nil {
		if leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			c.bad.At(path+".cert", "", "it can't be read: %s", err)
			return ""
		}
	}
	if time.Now().After(leaf.NotAfter) {
		c.bad.At(path+".cert", "put the renewed certificate there", "%s expired on %s", w.Cert,
			leaf.NotAfter.Format(time.DateOnly))
	}
	for _, h := range hosts {
		if leaf.VerifyHostname(strings.Replace(h, "*.", "any.", 1)) != nil ||
			strings.HasPrefix(h, "*.") && !slices.Contains(leaf.DNSNames, h) {
			c.bad.At(path+".cert", "it is for "+strings.Join(leaf.DNSNames[:min(len(leaf.DNSNames), 5)], ", "),
				"%s isn't for %s", w.Cert, h)
		}
	}
	all := bytes.Join([][]byte{bytes.TrimSpace(cert), bytes.TrimSpace(key), nil}, []byte("\n"))
	return c.keep(fileKey{rhumb.FileCertificate, filepath.ToSlash(c.relative(c.pathOf(w.Cert)))}, all).Hash
}

// pathOf returns the path of a user's file, which may be relative to the project folder.
func (c *converter) pathOf(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(c.in.Dir, name)
}

func (c *converter) pem(path, name string) ([]byte, bool) {
	file := c.pathOf(name)
	b, err := diskfile.Read(file, c.in.Shown(file), maxCertificate)
	if err != nil {
		c.bad.At(path, "name a file, relative to the project folder", "%s", err)
	}
	return b, err == nil
}
